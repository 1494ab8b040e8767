"""What is imported is declared, and what is installed is named with its licence."""

import ast
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from kit.licences import EXCEPTIONS, complaints, cuda_libraries, licences, with_table
from kit.wheels import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGES = ("core", "trainer", "daemon")


def imported_by(path: Path) -> set[str]:
    """Returns the top-level names that a module imports from outside its own package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"antifake"}


def declared() -> set[str]:
    """Returns the names of all packages that setup.cfg asks for, for the tests excepted."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    extras = setup["options.extras_require"]
    tables = [extras[name] for name in extras if name != "test"]
    lines = "\n".join([setup["options"]["install_requires"], *tables]).split("\n")
    wanted = (line for line in map(str.strip, lines) if line and not line.startswith("#"))
    return {canonicalize_name(Requirement(line).name) for line in wanted}


def test_whatever_is_imported_is_declared():
    """An import of what only another package brings along breaks on the day that one drops it."""
    owners, known = packages_distributions(), declared()
    undeclared = {}
    for path in sorted(chain(*((ROOT / package).rglob("*.py") for package in PACKAGES))):
        for name in imported_by(path):
            packages = {canonicalize_name(owner) for owner in owners.get(name, [name])}
            if not packages & known:
                undeclared[name] = str(path.relative_to(ROOT))
    assert undeclared == {}


def test_notice_names_every_package_that_an_installation_brings_along():
    notice, needed = (ROOT / "NOTICE").read_text("utf-8"), licences()
    assert list(complaints(needed, notice)) == []
    assert {"torch", "pystray", "peft"} <= set(needed)
    copyleft = {name for name, licence in needed.items() if "GPL" in licence}
    assert copyleft <= set(EXCEPTIONS)
    assert all(f"{name}" in notice.partition("    accelerate")[0] for name in copyleft)


def test_what_torch_brings_for_cards_is_told_apart_from_packages_of_like_names(
    tmp_path, monkeypatch
):
    def install(name: str, *needs: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-9.9.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", "Version: 9.9", *(f"Requires-Dist: {need}" for need in needs)]
        (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")

    install("torch", "cuda-toolkit[cublas]", "triton==9.9", "networkx", 'optree; extra == "optree"')
    install("cuda-toolkit", 'nvidia-cublas; extra == "cublas"', 'nvidia-all; extra == "all"')
    install("nvidia-cublas", "plain-helper")
    install("triton")
    install("plain-helper")
    install("nvidia-ml-py")  # of no use to torch
    monkeypatch.syspath_prepend(tmp_path)
    assert cuda_libraries() == {"cuda-toolkit", "nvidia-cublas", "triton"}


@pytest.mark.parametrize(
    ("licence", "complaint"),
    [
        ("MIT OR GPL-3.0-only", "is under MIT OR GPL-3.0-only, which"),
        ("AGPL-3.0", "is under AGPL-3.0, which"),
        ("Proprietary", "is under Proprietary, which"),
        ("", "is under no licence that it states, which"),
    ],
)
def test_a_licence_that_was_not_read_is_told_in_a_sentence(licence, complaint):
    notice = "    new  MIT\n"
    (told,) = complaints({"new": licence}, notice)
    assert complaint in told
    assert list(complaints({"new": "MIT AND BSD-3-Clause"}, notice)) == []
    (told,) = complaints({"newer": "MIT"}, notice)
    assert told == "newer (MIT) is not in NOTICE: run make licences."


def test_the_table_of_notice_keeps_notes_and_packages_of_other_systems():
    notice = "Words.\n\n    b   MIT (its wheels: see above)\n    pyobjc  MIT\n"
    assert with_table(notice, {"a": "ISC", "b": "MIT"}) == (
        "Words.\n\n"
        f"    {'a':18}  ISC\n    {'b':18}  MIT (its wheels: see above)\n    {'pyobjc':18}  MIT\n"
    )
