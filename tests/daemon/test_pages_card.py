"""The card of a picture: each track beside the others, what contradicts, what is never claimed."""

import re
from html import unescape

import pytest
from kit.axe import axe
from kit.evidenced import CAMERA, RECIPE, STATES, marked
from kit.page_desk import look, shoot
from kit.pages import scene

from antifake.core.evidence.marks import Mark

NEVER = re.compile(r"authentic|genuine|forge|\bfaked?\b|is real\b|proven", re.IGNORECASE)


def add(here, name="a.jpg", file=None, **about):
    check = here.add(name, thumb=scene(1), **about)
    if file is not None:
        here.note_file(check, file)
    return check


def page_of(me, check):
    return me.get(f"/picture/{check.id}").text


def tracks(page):
    """Returns what each track says, as text."""
    found = re.findall(r'data-track="(\w+)">\s*<dt>(.*?)</dt>\s*<dd>(.*?)</dd>', page, re.DOTALL)
    return {name: text_of(what) for name, _title, what in found}


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def headline(page):
    return text_of(re.search(r'<div class="big".*?</div>', page, re.DOTALL)[0])


SIGNED = {
    "signed-known": ("Declared AI-made", "Google LLC signed that AI made it."),
    "signed-older-list": ("Declared AI-made", "The signer is on an older list."),
    "signed-unknown": ("Marked as AI-made", "Who signed is not known"),
    "signed-lapsed": ("Marked as AI-made", "the certificate has run out"),
    "signed-revoked": ("Likely real", "so this does not count"),
    "signed-part": ("Likely real", "signed that parts of it were made with AI"),
    "signed-camera": ("Likely real", "signed that a camera took it"),
    "changed": ("Likely real", "is not as it was signed"),
    "elsewhere": ("Likely real", "kept on a server, which antifake does not ask"),
    "unreadable": ("Likely real", "cannot be read"),
    "not-read": ("Likely real", "takes the package c2pa-python"),
    "nothing": ("Likely real", "Most pictures have none; that says nothing."),
}
MARKED = {
    "recipe": ("Marked as AI-made", "ComfyUI's recipe for making it. Anyone can copy such a note."),
    "label": ("Marked as AI-made", "trainedAlgorithmicMedia"),
    "named": ("Likely real", "The file names Ideogram as its software."),
    "part": ("Likely real", "parts of it were made with AI"),
    "suspected": ("Likely real", "AI may have made it"),
    "camera": (
        "Likely real",
        "names a camera (NIKON CORPORATION NIKON Z 9). Anyone can write that",
    ),
    "cut-short": ("Likely real", "Not all of what is written"),
    "nothing": (
        "Likely real",
        "No generator left a note in the file. Most sites remove such notes.",
    ),
}


@pytest.mark.parametrize(
    ("track", "state", "expected"),
    [
        *(("provenance", state, expected) for state, expected in SIGNED.items()),
        *(("marks", state, expected) for state, expected in MARKED.items()),
    ],
)
def test_each_track_stands_beside_the_others(here, me, track, state, expected):
    page = page_of(me, add(here, file=STATES[state]))
    said, (words, sentence) = tracks(page), expected
    assert headline(page).startswith(words)
    assert sentence in said[track]
    assert said["model"].startswith("Likely real 88 %")
    assert "mini@1f3a90c2, prompt shipped@77aa01b2" in said["model"]
    assert not NEVER.search(said["provenance"] + said["marks"])


def test_a_file_that_was_not_looked_at_is_said_to_be_so(here, me):
    said = tracks(page_of(me, add(here)))
    assert said["file"] == "What the file says of itself has not been read."
    assert "provenance" not in said


def test_what_contradicts_is_set_apart(here, me):
    page = page_of(me, add(here, file=marked(RECIPE, camera=CAMERA)))
    box = text_of(re.search(r'<div class="conflicts".*?</div>\s*</div>', page, re.DOTALL)[0])
    assert "The model found no trace of AI." in box
    assert "names a camera as well as a generator" in box
    assert 'class="conflicts"' not in page_of(me, add(here, "b.jpg", STATES["nothing"]))


def test_what_you_said_stands_first_and_the_file_keeps_its_word(here, me):
    check = add(here, file=STATES["signed-known"])
    here.service.correct([check.id], "real", "page", "")
    for page in (page_of(me, check), me.get(f"/pieces/picture/{check.id}").text):
        said = tracks(page)
        assert headline(page) == "You said: real The file itself says that AI made it"
        assert list(said) == ["you", "provenance", "marks", "model", "looked_at"]
        assert said["you"].startswith("Real You said so on 22 November 2026")
        assert said["provenance"] == "Google LLC signed that AI made it."
        assert "you said that it is real" in page


def test_what_you_said_of_a_near_copy_is_a_track_of_its_own(here, me):
    first = add(here, "first.jpg", phash=0x5A5A_1234_9ABC_0F0F)
    here.service.correct([first.id], "fake", "page", "")
    said = tracks(page_of(me, add(here, "copy.jpg", STATES["camera"], phash=0x5A5A_1234_9ABC_0F0F)))
    assert said["seen"].startswith("AI-made You said so of a near-copy on 22 November 2026")


def test_the_file_answers_where_the_model_could_not(here, me):
    nothing = {"label": None, "p_fake": None, "error": "The model is not there yet."}
    page = page_of(me, add(here, file=STATES["recipe"], code="no_model", **nothing))
    assert headline(page) == "Marked as AI-made"
    assert tracks(page)["model"] == "The model is not there yet."
    assert "looked_at" not in tracks(page)


def test_words_of_the_file_do_nothing(here, me):
    evil = Mark("ideogram", "named", "EXIF Software", "<script>x</script>\u202egpj")
    page = page_of(me, add(here, file=marked(evil)))
    assert "<script>x" not in page
    assert "\ufffdscript\ufffdx\ufffd/script\ufffd\ufffdgpj" in page


def test_no_part_is_said_to_have_led_to_the_verdict(here, me):
    said = tracks(page_of(me, add(here, file=STATES["nothing"])))["looked_at"]
    assert (
        "antifake cannot reliably show which part of a picture led to the model's verdict" in said
    )


# --- The history, the answer, the report ------------------------------------------------------


def pill(page):
    found = re.search(r"<li><a (?:(?!</li>).)*Declared or marked.*?</li>", page)
    return found and (text_of(found[0]), 'aria-current="true"' in found[0])


def test_the_history_shows_only_those_that_are_declared_or_marked(here, me):
    assert pill(me.get("/").text) is None
    add(here, "signed.jpg", STATES["signed-known"])
    add(here, "recipe.jpg", STATES["recipe"], label="fake")
    add(here, "named.jpg", STATES["named"])
    add(here, "plain.jpg")
    assert pill(me.get("/").text) == ("Declared or marked AI-made 2", False)
    page = me.get("/?declared=yes").text
    assert {name for name in ("signed", "recipe", "named", "plain") if f"{name}.jpg" in page} == {
        "signed",
        "recipe",
    }
    assert pill(me.get("/?declared=yes").text) == ("Declared or marked AI-made 2", True)
    assert pill(me.get("/?verdict=fake").text) == ("Declared or marked AI-made 1", False)
    assert "signed.jpg" not in me.get("/?declared=no").text
    assert me.get("/?declared=perhaps").status_code == 400


def test_the_filter_can_be_saved(here, me):
    add(here, "recipe.jpg", STATES["recipe"])
    body = {"name": "by AI", "query": "declared=yes"}
    me.post("/changes/filters/save", json=body, headers={"X-Requested-By": "antifake"})
    assert '<a href="/?declared=yes"' in me.get("/").text


@pytest.mark.parametrize(("state", "label"), [("recipe", "fake"), ("named", "real")])
def test_to_confirm_is_to_agree_with_the_headline(here, me, state, label):
    check = add(here, file=STATES[state])
    body = {"ids": [check.id], "label": "right", "note": ""}
    me.post("/changes/label", json=body, headers={"X-Requested-By": "antifake"})
    assert here.service.get(check.id).correction.label == label


def test_a_row_says_where_the_file_contradicts_you(here, me):
    check = add(here, file=STATES["recipe"])
    assert "The file itself says" not in me.get("/").text  # its headline says it
    here.service.correct([check.id], "real", "page", "")
    assert "The file itself says that AI made it" in me.get("/").text


def test_the_review_says_who_says_it(here, me):
    check = add(here, file=STATES["signed-known"])
    page = text_of(me.get(f"/review?at={check.id}").text)
    assert "The file says Declared AI-made Google LLC signed that AI made it." in page


def test_a_report_has_what_the_file_says(here, me):
    check = add(here, file=STATES["recipe"])
    page = text_of(me.get(f"/picture/{check.id}/report?format=html").text)
    file, model = page.index("What the file says"), page.index("What the model says")
    assert page.index("Marked as AI-made") < file < model
    assert "The file holds ComfyUI's recipe for making it." in page[file:model]
    assert "The model found no trace of AI." in page[file:model]
    assert "finds no sign of a generator; it is 88 % sure" in page[model:]
    assert "only a known signer's signature tells who wrote it" in page
    assert me.get(f"/picture/{check.id}/report?format=pdf").data.startswith(b"%PDF")


def test_a_report_of_a_file_without_evidence_begins_with_the_model(here, me):
    page = text_of(me.get(f"/picture/{add(here).id}/report?format=html").text)
    assert page.index("What the verdict means") < page.index("What the file says")
    assert "What the file says of itself has not been read." in page


def test_files_that_were_not_looked_at_are_read_on_demand(here, served, chromium):
    add(here)
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{served}/enter?code={here.access.mint_login()}")
        look(page, f"{served}/?corrected=no")
        line = page.locator("#unread")
        assert "1 picture was judged before antifake read what files say." in line.inner_text()
        line.get_by_role("button", name="Read it now").click()
        gone = "That of 1 is not there any more, has changed, or cannot be read."
        line.get_by_text(gone).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_card(here, served, chromium, scheme):
    states = ["signed-known", "many", "camera-and-recipe", "changed", "not-looked-at", "nothing"]
    checks = [add(here, f"{name}.jpg", STATES[name]) for name in states]
    here.service.correct([checks[0].id], "real", "page", "")
    paths = ["/", "/?corrected=no", *(f"/picture/{check.id}" for check in checks)]
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(f"{served}/enter?code={here.access.mint_login()}")
        for path, name in zip(paths, ["history", "filters", *states], strict=True):
            look(page, served + path)
            for width in (1180, 590, 390):  # 590 is 1180 at 200 % zoom
                page.set_viewport_size({"width": width, "height": 860})
                assert axe(page) == [], (path, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            shoot(page, f"card-{name}-{scheme}")
