"""What the documents for engineers name is really there: paths, modules and functions.

In CONTRIBUTING.md and docs/architecture.md, `folder/file.py` is a path from the top of the
repository, `name()` and `Class.name()` are defined in a file named on the same line, and a plain
`name` on a line that begins with a folder is a module or a package in that folder.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("CONTRIBUTING.md", "docs/architecture.md")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TOPS = ("core", "daemon", "trainer", "tests", "docs", "extension")

CODE = re.compile(r"`([^`]+)`")
CALL = re.compile(r"(?:(\w+)\.)?(\w+)\(\)")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
MODULE = re.compile(r"[a-z][a-z_]*")


def lines_of(document: str) -> list[str]:
    """Returns paragraphs, list items and table rows as single lines, without blocks of code."""
    text = re.sub(r"^```.*?^```\n", "", (ROOT / document).read_text(), flags=re.M | re.S)
    text = re.sub(r"^ {4,}\S.*\n", "", text, flags=re.M)
    return re.sub(r"\n(?![\n|#-]|\d+\.)", " ", text).splitlines()


def is_path(code: str) -> bool:
    return code.partition("/")[0] in TOPS and "/" in code and not re.search(r"[\s*{<]", code)


def defines(source: str, name: str) -> bool:
    return re.search(rf"\b(?:def|class|function) {name}\b", source) is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_exists(document):
    named = [code for line in lines_of(document) for code in CODE.findall(line) if is_path(code)]
    assert len(named) > 10
    missing = [path for path in named if not (ROOT / path.partition("::")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_function_is_defined_in_a_file_named_beside_it(document):
    n_functions = 0
    for line in lines_of(document):
        codes = CODE.findall(line)
        files = [ROOT / code for code in codes if is_path(code) and (ROOT / code).is_file()]
        source = "\n".join(file.read_text() for file in files)
        for owner, name in (call.groups() for code in codes if (call := CALL.fullmatch(code))):
            n_functions += 1
            assert defines(source, name), f"{name} in: {line}"
            assert not owner or defines(source, owner), f"{owner} in: {line}"
    assert n_functions > 8


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_named_after_its_folder_is_in_it(document):
    for line in lines_of(document):
        first, *rest = CODE.findall(line) or [""]
        folder = ROOT / first
        if not (line.lstrip("|- ").startswith(f"`{first}`") and is_path(first) and folder.is_dir()):
            continue
        for name in filter(MODULE.fullmatch, rest):
            assert (folder / f"{name}.py").exists() or (folder / name).is_dir(), f"{first}{name}"


def test_every_package_has_its_line_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("core", "trainer", "daemon")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert {name for name in packages if f"`{name}/`" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_source_file_that_a_page_names_exists(page):
    named = re.findall(rf"\b(?:{'|'.join(TOPS)})/[\w./]*\.(?:py|js|json)\b", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_the_documents_leads_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []
