"""`make matrix`: runs a quick part of the suite on other Pythons and with the lowest versions.

Each gets an environment in build/matrix, made by uv. A Python that is missing on this machine is
reported and left out.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from kit.wheels import ROOT

LOWEST = "lowest-direct"
RUNS = {"lowest": ("3.11", LOWEST), "3.12": ("3.12", "highest"), "3.13": ("3.13", "highest")}
TOOLS = ["pytest>=9", "pytest-timeout>=2.4", "hypothesis>=6.150", "peft>=0.18"]
QUICK = [
    "tests/core/test_verdict.py",
    "tests/core/test_prompt.py",
    "tests/core/test_images.py",
    "tests/core/test_selfcheck.py",
    "tests/trainer/test_evaluate.py",
    "tests/trainer/test_splits.py",
    "tests/daemon/test_config.py",
    "tests/daemon/test_store.py",
    "tests/daemon/test_store_history.py",
    "tests/daemon/test_access.py",
    "tests/daemon/test_api_checks.py",
    "tests/daemon/test_watcher_parts.py",
]


def uv(*words: str) -> bool:
    return subprocess.run([sys.executable, "-m", "uv", *words], check=False).returncode == 0


def interpreter(version: str) -> str | None:
    """Returns a Python of that version, on the path or among those of pyenv."""
    others = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, others)):
        # pyenv also puts commands on the path for versions that it would not start.
        if (
            found
            and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return found
    return None


def passes(name: str, python: str, resolution: str) -> bool:
    folder = ROOT / "build" / "matrix" / name
    interpreter = str(folder / "bin" / "python")
    # pip's own setting: the place of a small build of torch, if there is one.
    links = shlex.split(os.environ.get("PIP_FIND_LINKS", ""))
    install = ["pip", "install", "--python", interpreter, *(f"--find-links={one}" for one in links)]
    # torch's build for graphics cards is many times larger and tests nothing more here.
    backend = [] if links else ["--torch-backend=cpu"]
    ours = ["--resolution", resolution, "--editable", str(ROOT)]
    return (
        uv("venv", "--quiet", "--clear", "--python", python, str(folder))
        and uv(*install, *backend, *ours)
        and uv(*install, *TOOLS)
        and subprocess.run(
            [interpreter, "-m", "pytest", "-q", *QUICK], cwd=ROOT, check=False
        ).returncode
        == 0
    )


def main() -> None:
    left_out, failed = [], []
    for name, (python, resolution) in RUNS.items():
        found = interpreter(python)
        if found is None:
            left_out.append(name)
        elif not passes(name, found, resolution):
            failed.append(name)
    if left_out:
        print(f"Not run, as these Pythons are not on this machine: {', '.join(left_out)}")
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
