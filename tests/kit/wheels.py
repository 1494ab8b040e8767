"""The wheel as users get it: built from a clean copy of the tree, and installed.

`make wheel` runs this. A build inside the checkout would also pack files that an earlier build left
in build/lib, for example removed modules.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def tree_files() -> list[Path]:
    """Returns all files of the tree that git does not ignore, as relative paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = sorted({Path(name) for name in listed.split("\0") if name})
    return [name for name in names if (ROOT / name).is_file()]


def copy_tree(folder: Path) -> Path:
    for name in tree_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    """Builds the wheel of the project in `source` and returns its place in `folder`."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*command, str(folder), str(source)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def requirements_of(name: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """Returns what an installed distribution needs here, with these extras of its own."""
    found = [Requirement(line) for line in distribution(name).requires or []]
    environments = [{"extra": extra} for extra in ("", *extras)]
    return [
        one
        for one in found
        if one.marker is None or any(one.marker.evaluate(each) for each in environments)
    ]


def installed_for(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Returns the installed distributions that meet these requirements and those of each other.

    Raises LookupError if an installed version does not meet a requirement.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = list(requirements)
    while left:
        wanted = left.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        if not wanted.specifier.contains(found[name].version, prereleases=True):
            raise LookupError(f"{wanted} is asked for, {found[name].version} is installed")
        left += requirements_of(name, extras)
    return found


def clean_environment(folder: Path, wheel: Path) -> Path:
    """Returns the `bin` of a new environment with the wheel and what it declares, nothing else.

    The dependencies are those of the running environment, as links: the same files as an
    installation would bring, in a second and without a network.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    quiet = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "install", *quiet, str(wheel)], check=True, capture_output=True)
    site = next(folder.glob("lib/python*/site-packages"))
    [metadata] = site.glob("antifake-*.dist-info")
    declared = [Requirement(line) for line in Distribution.at(metadata).requires or []]
    always = [one for one in declared if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in installed_for(always).values():
        _link(one, site)
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    return folder / "bin"


def _link(package: Distribution, site: Path) -> None:
    for file in package.files or []:
        if ".." in file.parts:  # a command, which antifake never starts
            continue
        source, target = Path(str(package.locate_file(file))), site / file
        if not source.is_file():  # a compiled file of another Python
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


def main(target: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        print(build_wheel(copy_tree(Path(folder)), Path(target)))


if __name__ == "__main__":
    main(*sys.argv[1:])
