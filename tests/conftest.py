"""Pieces that many tests share: one tiny real-class model, one home for it, one `mini`."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from hypothesis import HealthCheck, settings
from kit.pace import within
from kit.tiny import LLM_WIDTH, QFORMER_WIDTH, build_tiny

from antifake.core.bundle import Bundle
from antifake.core.catalog import Home
from antifake.core.prepare import Source, prepare
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import PromptMetadata

torch.set_num_threads(2)
# Tests reach nothing but 127.0.0.1, so nobody waits for a hub that does not answer.
huggingface_hub.constants.HF_HUB_OFFLINE = True
os.environ["HF_HUB_OFFLINE"] = "1"  # for the processes that they start
# How long an example takes says more of the machine than of what is tested.
settings.register_profile(
    "any pace", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any pace")
if os.name == "posix":
    os.umask(0o022)  # settings that a test writes must count, whoever runs it

TIMEOUT_S = 300
"""For a test with its fixtures, on the reference machine; a marker may say another time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs_longer = {item.path for item in items if item.get_closest_marker("timeout")}
    for item in items:
        marker = item.get_closest_marker("timeout")
        timeout_s = marker.args[0] if marker else TIMEOUT_S
        item.add_marker(pytest.mark.timeout(within(timeout_s)), append=False)
    # Several processes take a file at a time: the longest first, so that all end together.
    items.sort(key=lambda item: item.path not in needs_longer)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A report goes to another process, which takes no half of a surrogate pair."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_encodable(item) for item in value)
    return value


@pytest.fixture(scope="session")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Messages in the pseudo-locales en_XA and ar_XB, for ANTIFAKE_LOCALE."""
    from kit.messages import write_pseudo_locales  # Babel is slow to import

    folder = tmp_path_factory.mktemp("locale")
    write_pseudo_locales(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny InstructBLIP as `save_pretrained` writes it."""
    return build_tiny(tmp_path_factory.mktemp("tiny") / "source")


@pytest.fixture(scope="session")
def tiny_bundle(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same, prepared in float32."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    return prepare(Source(tiny_source), folder, dtype="fp32")


@pytest.fixture
def tiny_home(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A user's folder with the tiny model active and a prompt for it, as the commands see it."""
    home = Home(tmp_path / "home")
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    bundle = prepare(Source(tiny_source), home.models / "tiny", dtype="fp32")
    home.use("tiny")
    from antifake.core.promptbook import Promptbook

    book = Promptbook(home.prompts)
    book.add("first", tiny_prompt(1).to_bytes())
    book.use("first", bundle)
    return home


def tiny_prompt(seed: int, words: int = 1, **about: Any) -> SoftPrompt:
    """A random prompt for the tiny model."""
    random = torch.Generator().manual_seed(seed)
    return SoftPrompt(
        torch.randn(words, QFORMER_WIDTH, generator=random),
        torch.randn(words, LLM_WIDTH, generator=random),
        PromptMetadata(base_name="tiny", **about),
    )


@pytest.fixture(scope="session")
def mini_home() -> Home:
    """A home with the embedded model; `make test` has put it there."""
    root = os.environ.get("ANTIFAKE_HOME")
    if not root:
        pytest.fail("Run the tests with `make test`: it fetches the embedded model first.")
    home = Home(Path(root))
    assert (home.models / "mini").is_dir(), "`antifake model pull mini` has not been run"
    return home
