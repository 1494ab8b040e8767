"""The extension's pages are in the language of the browser, or in English."""

import pytest
from kit.daemon import running_daemon
from kit.extension import OPTIONS, POPUP, chromium


@pytest.mark.parametrize(
    ("browser", "shown", "title"),
    [("de", "de", "antifake: Einstellungen"), ("fr", "en", "antifake: options")],
)
def test_the_pages_are_in_the_language_of_the_browser(browser, shown, title, tmp_path):
    system = {"LANGUAGE": browser, "HOME": str(tmp_path)}
    with chromium(arguments=[f"--lang={browser}"], env=system) as found:
        page = found.open(OPTIONS)
        page.wait_for_function("() => document.querySelector('h1').textContent !== ''")
        assert page.locator("h1").inner_text() == title
        assert page.title() == title
        language = page.evaluate("() => [document.documentElement.lang, document.dir]")
        assert language == [shown, "ltr"]


def test_the_popup_says_in_german_that_there_is_no_model(tiny_source, tmp_path):
    system = {"LANGUAGE": "de", "HOME": str(tmp_path)}
    with (
        running_daemon(tmp_path / "daemon", tiny_source, '[worker]\nmodel = "another"\n') as asked,
        chromium(arguments=["--lang=de"], env=system) as found,
    ):
        found.connect(asked)
        popup = found.open(POPUP)
        popup.locator("#state", has_text="Verbunden, aber kein Modell").wait_for()
        popup.get_by_text("antifake hat kein Modell, das funktioniert").wait_for()
