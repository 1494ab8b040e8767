"""The zips for the stores: same bytes from the same tree, and each fits its browser."""

import json
import zipfile
from importlib import import_module
from io import BytesIO

import pytest
from kit import extension_zips
from kit.extension_zips import (
    BROWSERS,
    EXTENSION,
    WEB_EXT,
    lint,
    manifest,
    packed,
    project_version,
    tracked_files,
    unpack,
    write_zip,
)
from kit.firefox import firefox, text_of, until
from kit.pages import ARGUMENTS, CHROMIUM
from playwright.sync_api import sync_playwright

GECKO = {"required": ["none"]}
GECKO_ID = "antifake@localhost"
SHORTCUT = manifest()["commands"]["pick"]["suggested_key"]["default"]
ADDRESS = "return WebExtensionPolicy.getByID(arguments[0]).getURL('')"


def opened(browser: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(packed(browser)))


def manifest_in(browser: str) -> dict:
    with opened(browser) as found:
        return json.loads(found.read("manifest.json"))


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_same_tree_gives_the_same_bytes(browser, tmp_path):
    first = write_zip(browser, tmp_path / "a").read_bytes()
    for name in tracked_files():  # a checkout at another time
        (EXTENSION / name).touch()
    assert write_zip(browser, tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_zip_has_the_tracked_files_and_nothing_else(browser):
    stray = EXTENSION / "stray.tmp"
    stray.write_text("left by an editor")
    try:
        with opened(browser) as found:
            names = found.namelist()
            assert names == sorted(names) == tracked_files()
            assert "stray.tmp" not in names
            for name in names:
                if name != "manifest.json":
                    assert found.read(name) == (EXTENSION / name).read_bytes()
    finally:
        stray.unlink()


def test_chromium_gets_no_key_of_firefox_and_no_fixed_id():
    manifest = manifest_in("chromium")
    assert "key" not in manifest
    assert "browser_specific_settings" not in manifest
    assert manifest["background"] == {
        "service_worker": "background/worker.js",
        "type": "module",
    }
    assert "minimum_chrome_version" in manifest


def test_firefox_gets_no_key_of_chromium_and_is_told_that_no_data_is_collected():
    manifest = manifest_in("firefox")
    assert "key" not in manifest
    assert "minimum_chrome_version" not in manifest
    assert manifest["background"] == {"scripts": ["background/worker.js"], "type": "module"}
    assert manifest["browser_specific_settings"]["gecko"]["data_collection_permissions"] == GECKO


def test_both_ask_for_the_same_few_permissions():
    chromium, firefox = (manifest_in(browser) for browser in BROWSERS)
    for name in ("permissions", "host_permissions", "optional_host_permissions"):
        assert chromium[name] == firefox[name]
    assert sorted(chromium["permissions"]) == ["activeTab", "contextMenus", "scripting", "storage"]
    assert chromium["host_permissions"] == ["http://127.0.0.1/*"]


def test_the_version_is_that_of_the_project(monkeypatch):
    assert manifest_in("chromium")["version"] == project_version()
    monkeypatch.setattr(extension_zips, "project_version", lambda: "9.9.9")
    with pytest.raises(ValueError, match=r"setup\.cfg 9\.9\.9"):
        packed("chromium")


def test_the_linter_of_the_firefox_store_finds_nothing(tmp_path):
    assert WEB_EXT.exists(), "`make check` installs it"
    folder = unpack(write_zip("firefox", tmp_path), tmp_path / "firefox")
    assert lint(folder) == []
    (folder / "manifest.json").write_text("{}")
    assert lint(folder) != []  # it would have told


def test_chromium_loads_its_zip(tmp_path):
    folder = unpack(write_zip("chromium", tmp_path), tmp_path / "chromium")
    loading = [f"--disable-extensions-except={folder}", f"--load-extension={folder}"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=[*ARGUMENTS, *loading]
        )
        try:
            workers = context.service_workers
            worker = workers[0] if workers else context.wait_for_event("serviceworker")
            assert worker.evaluate("chrome.runtime.getManifest().version") == project_version()
            page = context.new_page()
            page.goto(worker.url.replace("background/worker.js", "pages/popup.html"))
            assert page.title() == "antifake"
        finally:
            context.close()


# The driver leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_firefox_loads_its_zip(tmp_path):
    path = write_zip("firefox", tmp_path)
    with firefox({"intl.locale.requested": "en-US"}) as driver:
        addons = import_module("marionette_driver.addons").Addons(driver)
        assert addons.install(str(path), temp=True) == GECKO_ID
        with driver.using_context("chrome"):
            address = driver.execute_script(ADDRESS, script_args=[GECKO_ID])
        driver.navigate(f"{address}pages/options.html")
        until(lambda: text_of(driver, "h1") == "antifake: options")
        until(lambda: text_of(driver, "#connection .state"))
        until(lambda: text_of(driver, "#version").endswith(project_version()))
        until(lambda: text_of(driver, "#shortcut kbd") == SHORTCUT)
