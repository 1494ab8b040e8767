"""The table of threats in docs/security.md: every test that it names exists and is marked."""

import ast
import re
from itertools import takewhile

import pytest
from kit.wheels import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
AREAS = (
    "Tokens and pages",
    "HTTP",
    "Pictures and files from outside",
    "Folders and watching",
    "Models, prompts and packs",
    "Database and disk",
    "Several machines",
    "Extension",
    "Tray and notifications",
)
NAMED = re.compile(r"`(tests/[\w./-]+\.py)::(\w+)`|`(tests/[\w./-]+\.test\.mjs)`")


def rows(area: str) -> list[list[str]]:
    """Returns the cells of each threat of an area."""
    lines = PAGE.partition(f"\n### {area}\n\n")[2].splitlines()
    table = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table][2:]


def marks_of(path: str, test: str) -> set[str] | None:
    """Returns the names of the marks of a test and of its module; None: there is no such test."""
    marks: set[str] = set()
    found = False
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks |= names_of_marks(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name == test:
            found = True
            for decorator in node.decorator_list:
                marks |= names_of_marks(decorator)
    return marks if found else None


def names_of_marks(node: ast.expr) -> set[str]:
    return set(re.findall(r"\bpytest\.mark\.(\w+)", ast.unparse(node)))


def test_the_page_has_every_area_and_no_other():
    assert tuple(re.findall(r"^### (.*)$", PAGE, re.MULTILINE)) == AREAS


@pytest.mark.parametrize("area", AREAS)
def test_every_threat_names_who_does_it_what_defends_and_a_marked_test(area):
    found = rows(area)
    assert found
    for row in found:
        assert len(row) == 4, row
        assert all(row), row
        tests = NAMED.findall(row[3])
        assert tests, f"no test in: {row[3]}"
        for path, test, script in tests:
            assert (ROOT / (path or script)).is_file(), path or script
            if test:
                marks = marks_of(path, test)
                assert marks is not None, f"{path} has no {test}"
                assert "attack" in marks, f"{path}::{test} lacks the marker attack"


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "SECURITY.md"])
def test_the_page_is_found_from(page):
    assert re.search(r"\]\((docs/)?security\.md\)", (ROOT / page).read_text("utf-8"))
