"""The pictures that live beside the project, not in it."""

from pathlib import Path

import pytest


def shared_data(name: str) -> Path:
    """The folder ../shared/data/NAME; the test is skipped where it is not."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / name
    if not folder.exists():
        pytest.skip(f"the pictures of ../shared/data/{name} are not here")
    return folder
