"""Which picture a right click means, and what is said about it."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit.content import DONE, Content, content_browser
from kit.overlays import card, picker
from kit.pictures import png
from kit.sites import Answer
from kit.waiting import eventually
from playwright.sync_api import Page

SIZE = 'width="300" height="200"'
BACK = "width: 300px; height: 200px; background: linear-gradient(#fff0, #fff0), url(/p1.png)"
SPACER = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
COVER = "position: absolute; left: 0; top: 0; width: 400px; height: 300px"


@pytest.fixture(scope="module")
def browser() -> Iterator[Content]:
    with content_browser() as found:
        for place in (1, 2, 3):
            found.sites.picture(f"/p{place}.png", png(place, 320 * place))
        yield found


@pytest.fixture
def content(browser: Content) -> Content:
    browser.reset()
    browser.answer(check=DONE)
    return browser


def picture(content: Content, page: Page, **about: Any) -> dict[str, Any]:
    """Right-clicks in the picture at the top left. Returns what the worker is told."""
    content.right_click(page, 100, 100, **about)
    found: dict[str, Any] = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    return found


KINDS = {
    "img": (f"<img {SIZE} src=/p1.png>", "image", "p1", None),
    "density": (
        f'<img {SIZE} src=/p1.png srcset="/p1.png 1x, /p2.png 2x, /p3.png 3x">',
        "image",
        "p1",
        "p3",
    ),
    "widths": (
        f'<img {SIZE} sizes=300px src=/x.png srcset="/p1.png 320w, /p3.png 960w, /p2.png 640w">',
        "image",
        "p1",
        "p3",
    ),
    "art direction": (
        '<picture><source media="(max-width: 10px)" srcset="/p3.png">'
        '<source media="(min-width: 20px)" srcset="/p1.png, /p2.png 2x">'
        f"<img {SIZE} src=/p3.png></picture>",
        "image",
        "p1",
        "p2",
    ),
    "background": (f'<div style="{BACK}"></div>', "background", "p1", None),
    "image-set": (
        '<div style="width: 300px; height: 200px; background: '
        "image-set('/p1.png' 1x, '/p2.png' 2x)\"></div>",
        "background",
        "p1",
        "p2",
    ),
    "before": (
        f"<style>div::before {{content: ''; display: block; {BACK}}}</style><div></div>",
        "background",
        "p1",
        None,
    ),
    "content": (
        f"<style>div::after {{content: url(/p1.png)}}</style><div style='{SIZE}'></div>",
        "background",
        "p1",
        None,
    ),
    "svg image": (f"<svg {SIZE}><image href=/p1.png {SIZE} /></svg>", "svg", "p1", None),
    "poster": (f"<video {SIZE} poster=/p1.png></video>", "poster", "p1", None),
    "button": (f"<input type=image {SIZE} src=/p1.png>", "image", "p1", None),
    "object": (f"<object type=image/png {SIZE} data=/p1.png></object>", "image", "p1", None),
    "canvas": (f"<canvas {SIZE}></canvas>", "canvas", None, None),
    "covered": (
        f'<img {SIZE} src=/p1.png><div style="{COVER}"></div>',
        "image",
        "p1",
        None,
    ),
    "covered by a spacer": (
        f'<img {SIZE} src=/p1.png><img src="{SPACER}" style="{COVER}">'
        f'<div style="{COVER}; background: url({SPACER})"></div>',
        "image",
        "p1",
        None,
    ),
    "without pointer events": (
        f'<img {SIZE} src=/p1.png style="pointer-events: none">',
        "image",
        "p1",
        None,
    ),
    "a transparent twin above": (
        f'<div style="{BACK}"></div><img src=/p2.png style="{COVER}; opacity: 0">',
        "background",
        "p1",
        None,
    ),
    "image map": (
        f'<img {SIZE} src=/p1.png usemap="#m"><map name=m>'
        "<area shape=rect coords=0,0,300,200 href=/></map>",
        "image",
        "p1",
        None,
    ),
    "open shadow": (
        f"<p><template shadowrootmode=open><img {SIZE} src=/p1.png></template></p>",
        "image",
        "p1",
        None,
    ),
    "closed shadow in a slot": (
        "<p><template shadowrootmode=closed><span><slot></slot>"
        f"<span><template shadowrootmode=closed><img {SIZE} src=/p1.png></template></span></span>"
        "</template></p>",
        "image",
        "p1",
        None,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_is_found(content: Content, kind: str) -> None:
    html, expected, url, larger = KINDS[kind]
    page = content.open(f"<body style='margin: 0'>{html}")
    page.wait_for_timeout(100)
    found = picture(content, page)
    address = content.sites.url
    assert found["kind"] == expected
    assert found["url"] == (url and address(f"/{url}.png"))
    assert found["larger"] == (larger and address(f"/{larger}.png"))
    card(page, "AI-made")


def test_the_picture_is_the_one_that_was_clicked_also_if_it_changes(content: Content) -> None:
    page = content.open(f"<body style='margin: 0'><img {SIZE} src=/p1.png>")
    page.mouse.click(100, 100, button="right")
    page.evaluate("document.querySelector('img').src = '/p2.png'")
    page.wait_for_timeout(100)
    address = content.sites.url("/p1.png")
    content.send(type="card.open", srcUrl=address, mediaType="image", targetElementId=None)
    found = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    assert found["url"] == address


def test_a_canvas_is_judged_as_it_was_when_it_was_clicked(content: Content) -> None:
    content.answer(check=[{"state": "bytes", "ways": ["canvas"]}, DONE])
    page = content.open(f"<body style='margin: 0'><canvas {SIZE}></canvas>")
    fill = """(color) => {
      const context = document.querySelector("canvas").getContext("2d");
      context.fillStyle = color;
      context.fillRect(0, 0, 300, 200);
    }"""
    page.evaluate(fill, "rgb(1 2 3)")
    page.mouse.click(100, 100, button="right")
    page.evaluate(fill, "rgb(200 2 3)")
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    card(page, "AI-made")
    assert page.evaluate(_PIXEL, content.worker.evaluate("self.lastBytes")) == [1, 2, 3, 255]


def test_a_changed_picture_is_not_copied_from_the_screen(content: Content) -> None:
    content.answer(check=[{"state": "bytes", "ways": ["screen"]}, DONE])
    page = content.open(f"<body style='margin: 0'><img {SIZE} src=/p1.png>")
    page.mouse.click(100, 100, button="right")
    page.evaluate("document.querySelector('img').src = '/p2.png'")
    page.wait_for_timeout(100)
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    card(page, "another picture")
    assert len(content.asked("picture.check")) == 1


def test_without_a_script_in_the_page_the_address_of_the_menu_counts(content: Content) -> None:
    page = content.open(
        f"<body style='margin: 0'><img {SIZE} src=/p1.png><p style='height: 3000px'></p>"
        f"<img {SIZE} src=/p2.png>",
        inject=False,
    )
    page.mouse.click(100, 100, button="right")
    content.inject()
    address = content.sites.url("/p2.png")
    content.send(type="card.open", srcUrl=address, mediaType="image", targetElementId=None)
    found = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    assert found["url"] == address


def test_where_no_picture_is_known_pick_mode_starts(content: Content) -> None:
    page = content.open("<body>Only text", inject=False)
    page.mouse.click(100, 100, button="right")
    content.inject()
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelectorAll('[popover=manual]').length") == 1
    assert content.asked("picture.check") == []


def test_a_film_that_has_not_begun_is_its_preview(content: Content) -> None:
    content.sites.put("/film.webm", Answer(b"no film", "video/webm"))
    page = content.open(
        f"<body style='margin: 0'><video {SIZE} poster=/p1.png src=/film.webm controls></video>"
    )
    page.wait_for_timeout(300)
    found = picture(content, page, src_url=content.sites.url("/film.webm"))
    assert (found["kind"], found["url"]) == ("poster", content.sites.url("/p1.png"))


def test_a_lazy_picture_has_no_address_before_it_is_shown(content: Content) -> None:
    page = content.open(f"<body style='margin: 0'><img {SIZE} data-src=/p1.png>")
    content.right_click(page, 100, 100)
    told = eventually(lambda: page.wait_for_timeout(10) or picker(page))
    assert "There is no picture in view" in told.text
    assert content.asked("picture.check") == []


def test_a_lazy_picture_is_judged_as_it_was_when_it_was_clicked(content: Content) -> None:
    """Pages show a small preview until the picture is loaded."""
    page = content.open(f"<body style='margin: 0'><img {SIZE} src=/p1.png data-src=/p2.png>")
    page.evaluate(
        """() => addEventListener("contextmenu", () => setTimeout(() => {
          const [image] = document.images;
          image.src = image.dataset.src;
        }))"""
    )
    page.mouse.click(100, 100, button="right")
    page.wait_for_function("() => document.images[0].currentSrc.endsWith('/p2.png')")
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    found = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    assert found["url"] == content.sites.url("/p1.png")


def test_a_picture_in_a_tab_of_its_own(content: Content) -> None:
    page = content.context.new_page()
    page.goto(content.sites.url("/p2.png"))
    content.inject()
    content.right_click(page, 500, 350)
    found = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    assert found["url"] == content.sites.url("/p2.png")
    assert found["natural"] == {"width": 640, "height": 640}
    card(page, "AI-made")


def test_frames_tell_their_place_if_they_may_know_it(content: Content) -> None:
    inner = f"<body style='margin: 0'><img {SIZE} src=/p1.png>"
    for host in ("site.test", "cdn.test"):
        content.reset()
        content.answer(check=DONE)
        content.sites.page("/inner", inner)
        page = content.open(
            "<body style='margin: 0'><iframe style='margin: 20px; border: 5px solid' width=500"
            f" height=400 src='{content.sites.url('/inner', host)}'></iframe>",
            inject=False,
        )
        page.wait_for_timeout(200)
        content.inject(all_frames=True)
        found = picture(content, page)
        expected = {"x": 25, "y": 25, "width": 300, "height": 200}
        assert found["rect"] == (expected if host == "site.test" else None)


def test_where_a_click_made_by_script_was_is_not_remembered(content: Content) -> None:
    page = content.open(f"<body style='margin: 0'><img {SIZE} src=/p1.png><img {SIZE} src=/p2.png>")
    page.mouse.click(100, 100, button="right")
    page.evaluate("""document.images[1].dispatchEvent(new PointerEvent("contextmenu",
      {bubbles: true, clientX: 400, clientY: 100}))""")
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    found = eventually(lambda: content.asked("picture.check"))[0]["picture"]
    assert found["url"] == content.sites.url("/p1.png")


_PIXEL = """async (base64) => {
  const image = new Image();
  image.src = "data:image/png;base64," + base64;
  await image.decode();
  const context = new OffscreenCanvas(300, 200).getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(150, 100, 1, 1).data];
}"""
