"""The extension's pages are in the language of the browser, or in English."""

import pytest
from kit.extension import OPTIONS, chromium


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
