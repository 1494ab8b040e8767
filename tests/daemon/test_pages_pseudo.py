"""Every page in a pseudo-locale: no word is left in English, and nothing is cut off.

The language is that of the process, so a process of its own renders the pages; see main.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from kit.learned import BETTER, TOO_FEW_TO_TELL, home_as_shipped
from kit.pace import within
from kit.page_desk import shoot
from kit.pages import NOW, World, scene, serving, world
from playwright.sync_api import Browser, Locator, Page, expect

from antifake.core.catalog import Home
from antifake.core.parts import Box, JudgedPart, Part
from antifake.daemon.report import made
from antifake.daemon.store.history import Filter
from antifake.daemon.web.pages.welcome import STEPS

HERE = Path(__file__).parent
PLACES = {
    "grid": "/?view=grid",
    "list": "/?view=list",
    "filters": "/?verdict=fake&q=e&source=watch&corrected=no&since=2026-11-01&until=2026-11-30",
    "oldest": "/?sort=oldest&folder=%2Fhome%2Fme%2FPictures&model=mini%401f3a90c2",
    "folders": "/folders",
    "browsers": "/browsers",
    "settings": "/settings",
    "privacy": "/privacy",
    "learning": "/learning",
    "review": "/review",
    "not-there": "/nothing",
    **{f"welcome-{step}": f"/welcome/{step}" for step in STEPS},
}
NOTICE = "The history was restored."
MENDED = "The picture ends in the middle."
ENDED = "The training ended without a result (exit code -9)."
FETCHED = "mini, from example.org"


# --- In the process of its own --------------------------------------------------------------


def main() -> None:
    """Renders all pages into a file of JSON, then serves a history until its input ends.

    For each line that it reads it writes a link that lets somebody in.

    Arguments: a home with a model, an empty folder, and the file.
    """
    import test_pages_browser as usual
    import test_pages_learning as learning

    home, folder, out = map(Path, sys.argv[1:])
    pages: dict[str, str] = {}
    for number, state in enumerate([None, *learning.STATES]):
        place = folder / str(number)
        shutil.copytree(home, place / "home")
        with world(place, Home(place / "home")) as here:
            path = state(here) if state else "/"
            pages[state.__name__ if state else "empty"] = visitor(here).get(path).text
    with world(folder, Home(home)) as here:
        pages |= rendered(here, usual, folder)
        out.write_text(json.dumps(pages), "utf-8")
        with serving(here.app()) as url:
            ids = {one.entry.check.shown_name: one.id for one in here.service.page(Filter())[0]}
            print(json.dumps({"url": url, "ids": ids}), flush=True)
            for _asked in sys.stdin:  # a link is old after a minute
                print(f"{url}/enter?code={here.access.mint_login()}", flush=True)


def visitor(here: World) -> Any:
    client = here.app().test_client()
    client.get(f"/enter?code={here.access.mint_login()}")
    return client


def rendered(here: World, usual: Any, folder: Path) -> dict[str, str]:
    """Returns the pages of a history that has something of everything."""
    stranger = here.app().test_client()
    pages = {
        "nothing": visitor(here).get("/").text,
        "away": stranger.get("/").text,
        "opening": stranger.get("/open?code=x").text,
        "old-link": stranger.get("/enter?code=x").text,
    }
    usual.prepared(here, folder)
    here.service.notice(NOTICE)
    right, left = Part(Box(0.66, 0, 0.34, 1)), Part(Box(0, 0, 0.34, 1))
    parts = JudgedPart(right, 0.93), JudgedPart(left, 0.2)
    size = {"width": 3000, "height": 1000}
    here.add("wide.jpg", label="fake", p_fake=0.93, thumb=scene(60, 300, 100), parts=parts, **size)
    here.service.save_filter("Mine", "verdict=fake")
    client = visitor(here)
    pages |= {name: client.get(path, follow_redirects=True).text for name, path in PLACES.items()}
    for answer in here.service.page(Filter())[0]:
        name = answer.entry.check.shown_name or answer.id
        pages[f"picture-{name}"] = client.get(f"/picture/{answer.id}").text
        pages[f"report-{name}"] = made(here.service, answer.id, "html", NOW).decode()
    return pages


# --- Their words ----------------------------------------------------------------------------

SHOWN = {
    "title", "aria-label", "placeholder", "alt", "data-what", "data-asks", "data-copied",
    "data-stay",
}  # fmt: skip
DATA = (
    BETTER, TOO_FEW_TO_TELL, NOTICE, MENDED, ENDED, FETCHED,
    "The history was damaged and was restored from the backup of yesterday.",
    "scanned it myself", "Pictures from the old camera", "on a drive that is not there",
    "Chrome on this laptop", "screenshot", "Firefox", "this computer", "Mine", "antifake", "Python",
)  # fmt: skip
"""What people, programs and older versions have written into this history, and names."""
CODE = re.compile(
    r"^/.*….*|\S*[0-9@_/\\.*][\w@./\\*:-]*|--?[a-z-]+|\b[A-Z]{2,}s?\b|[a-z]+-extension\S*"
)
"""Names of files, models and settings, paths, times, abbreviations."""
ENGLISH = re.compile(r"[A-Za-z]{2,}")


class Words(HTMLParser):
    """Collects what people see of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.unseen: list[str] = []
        self.language: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in SHOWN]
        stages = dict(attrs).get("data-stages")
        self.found += json.loads(stages).values() if stages else []
        if tag == "html":
            self.language = dict(attrs)
        if tag in ("style", "script", "code", "textarea"):
            self.unseen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.unseen and self.unseen[-1] == tag:
            self.unseen.pop()

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.found.append(data.strip())


def english(text: str) -> list[str]:
    """Returns the words of a text that are still in English."""
    for known in DATA:
        text = text.replace(known, "")
    return ENGLISH.findall(CODE.sub(" ", text))


def words_of(page: str) -> Words:
    words = Words()
    words.feed(page)
    return words


@contextmanager
def process(language: str, home: Path, folder: Path, catalogues: Path) -> Iterator[dict[str, Any]]:
    """Runs main in a language. Yields what it prints, with the pages."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    own = {name: value for name, value in os.environ.items() if name not in names}
    told = {"LANGUAGE": language, "ANTIFAKE_LOCALE": str(catalogues)}
    # The pages suggest the Downloads of a person, in a path without a place for the line to break.
    own_home = folder / "_".join(["name"] * 8)
    (own_home / "Downloads").mkdir(parents=True)
    told["HOME"] = str(own_home)
    # The folder of all tests is first, as for pytest: both have a conftest.
    code = f"import sys; sys.path[:0] = {[str(HERE.parent), str(HERE)]}"
    code += f"; from {Path(__file__).stem} import main; main()"
    (folder / "histories").mkdir()
    running = subprocess.Popen(
        [
            sys.executable,
            "-X",
            "utf8",
            "-c",
            code,
            home,
            folder / "histories",
            folder / "pages.json",
        ],
        env=own | told,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with running:
        assert running.stdout
        assert running.stdin
        line = running.stdout.readline()
        assert line, "the process with the pages has failed"

        def link() -> str:
            print(file=running.stdin, flush=True)
            return running.stdout.readline().strip()

        pages = json.loads((folder / "pages.json").read_text("utf-8"))
        yield json.loads(line) | {"pages": pages, "link": link}
        running.stdin.close()


@pytest.fixture(scope="module")
def shipped(tiny_source, tmp_path_factory) -> Path:
    return home_as_shipped(tmp_path_factory.mktemp("home"), tiny_source).root


@pytest.fixture(scope="module")
def accents(shipped, catalogues) -> Iterator[dict[str, Any]]:
    # A short path: pages shorten long ones, and inside a sentence these are not known as paths.
    with (
        TemporaryDirectory() as folder,
        process("en_XA", shipped, Path(folder), catalogues) as found,
    ):
        yield found


def test_no_word_of_any_page_is_left_in_english(accents):
    assert len(accents["pages"]) > 50
    left = {
        text: name
        for name, page in accents["pages"].items()
        for text in words_of(page).found
        if english(text)
    }
    assert not left, "\n".join(f"{name}: {text!r}: {english(text)}" for text, name in left.items())


def test_every_page_says_its_language(accents):
    for page in accents["pages"].values():
        assert words_of(page).language == {"lang": "en-XA", "dir": "ltr"}


def test_a_word_in_english_would_be_found():
    page = '<title>Ĥîîšţ</title><p title="Open it">Þîîƈ <b>2 pictures</b><code>antifake x</code>'
    left = [english(text) for text in words_of(page).found]
    assert [one for one in left if one] == [["Open", "it"], ["pictures"]]


# --- In a browser ---------------------------------------------------------------------------

VISITED = {**PLACES, "picture": "/picture/{}"}
WIDTHS = {"": 1180, "-narrow": 390}


@pytest.fixture(scope="module")
def arabic(shipped, tmp_path_factory, catalogues) -> Iterator[dict[str, Any]]:
    with process("ar_XB", shipped, tmp_path_factory.mktemp("ar_XB"), catalogues) as found:
        yield found


@contextmanager
def reader(told: dict[str, Any], chromium: Browser) -> Iterator[Page]:
    """Yields the page of a person whom a link has let in."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(told["link"]())
        expect(page.locator("html.js")).to_be_attached()
        yield page


@pytest.mark.parametrize("language", ["accents", "arabic"])
def test_long_words_and_words_from_the_right_fit_on_every_page(language, request, chromium):
    told = request.getfixturevalue(language)
    with reader(told, chromium) as page:
        for name, path in VISITED.items():
            page.goto(told["url"] + path.format(told["ids"]["wide.jpg"]))
            expect(page.locator("html.js")).to_be_attached()
            for size, width in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": 860})
                shoot(page, f"{language}-{name}{size}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
                assert page.evaluate(CUT_OFF) == [], name


CUT_OFF = """() => [...document.querySelectorAll("button, .button, h1, h2, a, summary, dt, label")]
  .filter((one) => one.checkVisibility() && !one.closest(".away, .grid"))
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
  .map((one) => one.outerHTML.slice(0, 120))"""


def test_what_scripts_say_is_no_english(accents, chromium):
    with reader(accents, chromium) as page:
        page.goto(f"{accents['url']}/?q=kitchen")
        toast = page.locator("#toast")
        page.keyboard.press("y")
        said(toast)
        page.keyboard.press("z")
        said(toast)
        page.locator("#files").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
        )
        said(page.locator("#given-rows li"))
        said(page.locator("#given-status"))
        page.keyboard.press("j")
        page.keyboard.press("x")
        said(page.locator("#picked"))
        page.locator("#forget-picked").click()
        said(page.locator("#confirm"))
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        said(toast)
        toast.get_by_role("button").first.click()
        said(toast)
        page.goto(f"{accents['url']}/settings")
        page.locator("form[data-setting] input[type=checkbox]").first.click()
        said(toast)
        page.context.set_offline(True)
        expect(page.locator("#connection")).to_be_visible(timeout=within(30_000))
        said(page.locator("#away"))
        assert english(page.title()) == []


def said(place: Locator) -> None:
    """Asserts that there is a text, and not in English."""
    expect(place).to_have_text(re.compile(r"\S{2}"))
    labels = place.locator("[aria-label]").evaluate_all("all => all.map((one) => one.ariaLabel)")
    for text in [place.inner_text(), *labels]:
        assert english(text) == [], text


def test_keys_and_arrows_follow_the_direction_of_reading(arabic, chromium):
    with reader(arabic, chromium) as page:
        page.goto(f"{arabic['url']}/?view=list")
        page.locator(".row a.name").first.click()
        page.wait_for_url("**/picture/*")
        first = page.url
        expect(page.locator("#after")).to_have_text("←")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url(lambda url: url != first)
        page.keyboard.press("ArrowRight")
        page.wait_for_url(first)
