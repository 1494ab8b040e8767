"""The pictures that are kept beside the project, not in it."""

from pathlib import Path

import pytest


def shared_data(name: str) -> Path:
    """Returns the folder ../shared/data/NAME. Skips the test if it is missing."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / name
    if not folder.exists():
        pytest.skip(f"the pictures of ../shared/data/{name} are not here")
    return folder
