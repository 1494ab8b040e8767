"""Runs the unit tests of the extension's modules, which node runs."""

import subprocess
import sys
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parent / "unit").glob("*.test.mjs"))
NODE = Path(sys.executable).with_name("node.exe" if sys.platform == "win32" else "node")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_modules_do_what_their_unit_tests_say(path):
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=spec", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 0" not in done.stdout
