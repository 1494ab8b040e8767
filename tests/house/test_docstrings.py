"""Examples in docstrings work: those with >>> are run, and what the others call is there."""

import ast
import builtins
import doctest
import importlib
import pkgutil
import textwrap
from collections.abc import Iterator
from types import ModuleType

import pytest

PACKAGES = ("core", "trainer", "daemon")
NOT_IMPORTED = ("__main__", "migrations")


def modules_of(package: str) -> Iterator[ModuleType]:
    """Yields the modules of a package that can be imported on this system."""
    root = importlib.import_module(f"antifake.{package}")
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        if not any(part in NOT_IMPORTED for part in found.name.split(".")):
            yield importlib.import_module(found.name)


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_give_what_they_say(package, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path))
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    told: list[str] = []
    for module in modules_of(package):
        for test in finder.find(module, module=module):
            runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)
    if package != "daemon":
        assert runner.tries > 0, "no example was found at all"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_an_example_calls_is_in_its_module(package):
    for module in modules_of(package):
        for block in code_blocks(module.__doc__ or ""):
            for name in called_names(block):
                assert hasattr(module, name) or hasattr(builtins, name), (
                    f"{module.__name__}: its docstring calls {name}, which it does not have"
                )


def code_blocks(text: str) -> Iterator[ast.Module]:
    """Yields the indented blocks of a docstring that are Python."""
    block: list[str] = []
    for line in [*text.expandtabs().split("\n"), ""]:
        if line.startswith("    ") or (block and not line.strip()):
            block.append(line)
            continue
        yield from _parsed(block)
        block = []
    yield from _parsed(block)


def _parsed(block: list[str]) -> Iterator[ast.Module]:
    if not block:
        return
    try:
        yield ast.parse(textwrap.dedent("\n".join(block)).strip())
    except SyntaxError:
        return


def called_names(block: ast.Module) -> set[str]:
    """Returns the names that a block calls and does not import itself."""
    called = {
        node.func.id
        for node in ast.walk(block)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(block)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return called - imported


def test_an_example_that_cannot_work_is_found():
    (block,) = code_blocks("Does it.\n\n    from a import b\n    c = b(examine(print(1)))\n")
    assert called_names(block) == {"examine", "print"}
