"""Pictures with every kind of evidence in their files, and what is expected of each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .shared import shared_data

AUTHORITY = "authority.pem"


@pytest.fixture(scope="session")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of drawn pictures and what the tracks must answer for each, by its name."""
    folder = tmp_path_factory.mktemp("evidence")
    script = shared_data("evidence") / "make_fixtures.py"
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True)
    return folder, json.loads((folder / "expected.json").read_text("utf-8"))
