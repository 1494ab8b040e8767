"""`pipx install` and `uv tool install` of the wheel: the first run shows something.

Both fetch all that antifake needs, which takes minutes: `make soak` runs this.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.pace import within
from kit.wheels import ROOT, build_wheel, copy_tree

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = copy_tree(tmp_path_factory.mktemp("tree"))
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def tools(tmp_path_factory) -> Path:
    """The `python` of an environment with pipx and uv."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "pipx>=1.7", "uv>=0.9"], check=True)
    return python


def by_pipx(python: Path, wheel: Path, folder: Path) -> Path:
    places = {"PIPX_HOME": folder / "pipx", "PIPX_BIN_DIR": folder / "bin"}
    environment = os.environ | {name: str(path) for name, path in places.items()}
    command = [python, "-m", "pipx", "install", "--backend", "pip", wheel]
    subprocess.run(command, env=environment, check=True)
    return folder / "bin" / "antifake"


def by_uv(python: Path, wheel: Path, folder: Path) -> Path:
    places = {"UV_TOOL_DIR": folder / "uv", "UV_TOOL_BIN_DIR": folder / "bin"}
    environment = os.environ | {name: str(path) for name, path in places.items()}
    # pip's own setting: the place of a small build of torch, if there is one.
    links = shlex.split(os.environ.get("PIP_FIND_LINKS", ""))
    small = [f"--find-links={one}" for one in links] or ["--torch-backend=cpu"]
    command = [python, "-m", "uv", "tool", "install", "--python", sys.executable, *small, wheel]
    subprocess.run(command, env=environment, check=True)
    return folder / "bin" / "antifake"


@pytest.mark.parametrize("install", [by_pipx, by_uv])
def test_the_installed_command_shows_the_samples(
    install: Callable[[Path, Path, Path], Path], tools: Path, wheel: Path, tmp_path: Path
) -> None:
    command = install(tools, wheel, tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *words],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=within(300),
            check=True,
        )

    tower = next((ROOT / "build" / "wheels").glob("*.whl"))
    run("model", "pull", "mini", "--from", tower)
    shown = run()
    assert shown.stdout.count(" %)") == 3
    assert "likely AI-made" in shown.stdout
    assert "antifake open" in shown.stderr
