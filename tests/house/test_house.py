"""The house itself: what is imported when, what is never written."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "trainer", "daemon")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TRACKED_BYTES = 25_000_000
MINI_BYTES = 16_000_000


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "daemon.cli",
        "daemon.config",
        "daemon.store",
        "core.catalog",
        "core.promptbook",
        "core.embedded",
        "core.decoder",
        "core.results",
    ],
)
def test_light_modules_import_nothing_heavy(module):
    loaded = modules_after(f"import antifake.{module}")
    assert not loaded & {"torch", "transformers", "sklearn", "scipy", "onnx"}


def test_the_command_itself_imports_click_and_little_else():
    loaded = modules_after("import antifake.daemon.cli")
    assert not loaded & {
        "torch",
        "numpy",
        "PIL",
        "rich",
        "safetensors",
        "huggingface_hub",
        "accelerate",
    }


def test_nothing_is_imported_by_a_bare_folder_name():
    """`import core` from the checkout would load every class a second time."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                assert name.partition(".")[0] not in PACKAGES, f"{path}: {name}"


def test_what_git_tracks_stays_small():
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    sizes = {name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}
    assert sum(sizes.values()) < TRACKED_BYTES
    mini = sum(size for name, size in sizes.items() if name.startswith("core/mini/"))
    assert 0 < mini <= MINI_BYTES


def test_nothing_is_ever_unpickled():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in ("pickle.load", "pickle.loads", "joblib.load", "torch.jit.load"), (
                path
            )
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert given.get("trust_remote_code") is None, path
            if name == "torch.load":
                assert given.get("weights_only") == "True", path
            assert given.get("allow_pickle") is None, path


def test_the_readme_begins_with_its_two_commands():
    readme = (ROOT / "README.md").read_text()
    places = [readme.index(text) for text in ("make run", "make test", "antifake check")]
    assert places == sorted(places)
    for heading in ("Privacy", "How good it is", "How fast it is", "For engineers"):
        assert f"\n## {heading}\n" in readme
