"""The Learning page and the review in a real browser: every state, by axe's rules, in light and
dark, and on a narrow screen. Screenshots are kept in build/screens."""

import os
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from kit.axe import axe
from kit.learned import (
    BETTER,
    TOO_FEW_TO_TELL,
    answer,
    begin_training,
    home_as_shipped,
    keep_crops,
    keep_real_crops,
    report,
    trained,
)
from kit.pace import within
from kit.page_desk import FOCUSED, desk_at, shoot
from kit.pages import World, scene, serving, world
from kit.processes import trainers
from kit.waiting import eventually
from playwright.sync_api import Page, expect

from antifake.core.catalog import Home
from antifake.daemon.store.history import Filter
from antifake.daemon.web.pages.learning import CROPS


@pytest.fixture(scope="module")
def installed(tiny_source, tmp_path_factory):
    return home_as_shipped(tmp_path_factory.mktemp("home"), tiny_source)


@pytest.fixture
def here(tmp_path, installed) -> Iterator[World]:
    shutil.copytree(installed.root, tmp_path / "home")
    with world(tmp_path, Home(tmp_path / "home")) as made:
        yield made


def nothing_said(_: World) -> str:
    return "/learning"


def too_few(here: World) -> str:
    keep_crops(here, answer(here, 14, 3))
    return "/learning"


def ready(here: World) -> str:
    keep_crops(here, answer(here, 60, 12))
    return "/learning"


def running(here: World) -> str:
    answer(here, 14, 12)
    begin_training(here)._note_progress({"stage": "features", "done": 37, "total": 180})
    return "/learning"


def promoted(here: World) -> str:
    found = answer(here, 14, 12)
    keep_crops(here, found)
    others = [here.add(f"other-{n}.png", label="fake", thumb=scene(90 + n)) for n in range(3)]
    said = report("promote", BETTER, found[:20:2], others)
    trained(here, "done", BETTER, said, "personal-0001", promoted=True)
    here.service.settings.put("learning.false_alarms", 20)
    return "/learning"


def kept_as_candidate(here: World) -> str:
    found = answer(here, 14, 12)
    said = report("candidate", TOO_FEW_TO_TELL, found[:6:2])
    trained(here, "done", TOO_FEW_TO_TELL, said, "personal-0001")
    return "/learning"


def failed(here: World) -> str:
    answer(here, 14, 12)
    trained(here, "failed", "The training ended without a result (exit code -9).")
    return "/learning"


def flip_report(here: World) -> str:
    promoted(here)
    return "/learning/trainings/1"


def compared(here: World) -> str:
    promoted(here)
    return "/learning/compare?a=personal-0001&b=shipped"


def copies(here: World) -> str:
    keep_crops(here, [*answer(here, 3, 2), here.add("held.png", thumb=scene(50))])
    return "/learning/crops"


def no_copies(_: World) -> str:
    return "/learning/crops"


def to_review(here: World) -> str:
    answer(here, 2, 2)
    for n in range(4):
        here.add(f"unsure-{n}.jpg", label="unsure", p_fake=0.47, thumb=scene(60 + n))
    here.add("portrait.png", label="fake", thumb=scene(70), format="PNG", page="example.org")
    return "/review"


def nothing_to_review(_: World) -> str:
    return "/review"


def all_reviewed(here: World) -> str:
    to_review(here)
    names = [item.entry.check.id for item in here.service.learning.review.today().items]
    here.service.correct(names[:3], "real", "page")
    here.service.learning.review.skip(names[3:])
    return "/review"


STATES: list[Callable[[World], str]] = [
    nothing_said,
    too_few,
    ready,
    running,
    promoted,
    kept_as_candidate,
    failed,
    flip_report,
    compared,
    copies,
    no_copies,
    to_review,
    nothing_to_review,
    all_reviewed,
]


@pytest.fixture(scope="module")
def examined(chromium) -> Iterator[Page]:
    """A page with axe, which bypasses the CSP, because that rightly forbids it."""
    with chromium.new_context(bypass_csp=True) as context:
        yield context.new_page()


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(here, examined, state):
    path, page = state(here), examined
    with serving(here.app()) as url:
        # Not until the history is shown: this is only to get in.
        page.goto(f"{url}/enter?code={here.access.mint_login()}", wait_until="commit")
        page.goto(url + path)
        expect(page.locator("html.js")).to_be_attached()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": 1180, "height": 860})
            assert axe(page) == [], scheme
            for size, width in [("", 1180), ("-narrow", 360)]:
                page.set_viewport_size({"width": width, "height": 860})
                shoot(page, f"learning-{state.__name__}-{scheme}{size}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto("about:blank")  # or the server waits for the requests that the page has open


# --- Changes ------------------------------------------------------------------------------


def change(me, where: str, status: int = 200, **body) -> str:
    """Sends a change. Returns what the page then says."""
    answer = me.post(f"/changes/{where}", json=body, headers={"X-Requested-By": "antifake"})
    assert answer.status_code == status, answer.text
    return answer.json["said" if status == 200 else "error"]


def say_yes(me, where: str, **body) -> str:
    """Sends a change before which antifake asks again. Returns what the page then says."""
    return me.say_yes(f"/changes/{where}", json=body).json["said"]


def test_too_few_answers_are_refused_with_what_is_missing(here, me):
    answer(here, 14, 3)
    with here.service.learning:
        assert change(me, "learning/run", 409) == "7 more AI-made pictures are needed."
    assert "7 more AI-made pictures are needed." in me.get("/learning").text
    assert "no training 1" in change(me, "learning/cancel", 404, id=1)
    assert "no training 1" in change(me, "learning/promote", 404, id=1)


def test_a_version_is_used_kept_and_taken_back(here, me):
    kept_as_candidate(here)
    active = lambda: here.service.learning.state().version  # noqa: E731
    assert say_yes(me, "learning/use", name="personal-0001") == (
        "In use from now on: “personal-0001”."
    )
    assert active().name == "personal-0001"
    assert "stays in use" in change(me, "learning/pin", name="personal-0001")
    assert active().is_pinned
    assert "stays, whatever is learned" in me.get("/learning").text
    change(me, "learning/unpin")
    assert not active().is_pinned
    assert change(me, "learning/back") == "In use again: “As the model came”."
    assert active().name == "shipped"
    assert "no version nonsense" in change(me, "learning/use", 404, name="nonsense")


def test_a_training_is_promoted_against_its_advice(here, me):
    kept_as_candidate(here)
    assert "Use it anyway" in me.get("/learning").text
    asked = me.post(
        "/changes/learning/promote", json={"id": 1}, headers={"X-Requested-By": "antifake"}
    )
    told = " ".join(asked.json["words"])
    assert "AI-made 96.1 % before, 95.4 % after" in told, "what it costs elsewhere"
    assert say_yes(me, "learning/promote", id=1) == "personal-0001 is in use from now on."
    assert here.service.learning.training(1).promoted
    assert "Use it anyway…" not in me.get("/learning").text


def test_a_limit_of_false_alarms_is_set(here, me):
    change(me, "setting", name="learning.false_alarms", value="20")
    assert here.service.config.learning.false_alarms == 20
    assert "The next training sets this" in me.get("/learning").text


def test_copies_are_deleted_one_by_one_and_all(here, me):
    copies(here)
    first, *others = here.service.learning.crops.page()
    assert say_yes(me, "learning/crops", sha256s=[first.sha256]) == "Deleted: 1 copy."
    assert here.service.learning.crops.page() == others
    assert say_yes(me, "learning/crops", sha256s=[]) == "Deleted: 5 copies."
    assert here.service.learning.crops.page() == []
    assert here.service.learning.state().words_real == 3, "what was said stays"


def test_copies_come_page_by_page(here, me):
    keep_crops(here, [here.add(f"{n}.png") for n in range(CROPS + 1)], n_bytes=1)
    text = me.get("/learning/crops").text
    (older,) = re.findall(r'rel="next" href="([^"]+)"', text)
    assert text.count('aria-label="Delete the copy') == CROPS
    assert me.get(older).text.count('aria-label="Delete the copy') == 1


def test_contradictions_are_shown_until_they_are_decided(here, me):
    found = answer(here, 14, 12)
    copies = [*found[:2], found[-1]]
    trained(here, "done", "Nothing.", report("nothing", "Nothing.", copies))
    title = "You gave different answers for pictures that look the same"
    for path in ("/learning", "/learning/trainings/1"):
        text = me.get(path).text
        text = text[text.index(title) :]
        (group,) = re.findall(r"<li>(.*?)</li>", text[: text.index("</ul>")], re.DOTALL)
        assert [group.count(f"answered-{n:03d}.jpg</bdi>") for n in (0, 1, 25)] == [1, 1, 1]
    here.service.correct([one.id for one in copies[:2]], "fake", "page")
    for path in ("/learning", "/learning/trainings/1"):
        assert title not in me.get(path).text


def test_forgotten_pictures_are_gone_from_the_flip_report(here, me):
    promoted(here)
    assert "answered-002.jpg" in me.get("/learning/trainings/1").text
    check = next(one.id for one in here.service.page(Filter(text="answered-002"))[0])
    asked = me.post(
        "/changes/forget", json={"ids": [check]}, headers={"X-Requested-By": "antifake"}
    )
    assert "keeps a hash of it and your answer, but no picture" in asked.text
    here.service.forget([check])
    assert "answered-002.jpg" not in me.get("/learning/trainings/1").text


def test_a_skipped_picture_is_not_asked_about_again(here, me):
    one = here.add("a.jpg", label="unsure", thumb=scene(1))
    assert "a.jpg" in me.get("/review").text
    assert "30 days" in change(me, "skip", ids=[one.id])
    assert "a.jpg" not in me.get("/review").text
    assert change(me, "skip", 404, ids=["0" * 13])


def test_a_damaged_pack_is_refused_with_a_sentence(me):
    reply = me.post(
        "/changes/learning/import",
        data=b"PK\3\4 no pack",
        headers={"X-Requested-By": "antifake"},
        content_type="application/octet-stream",
    )
    assert reply.status_code == 422
    assert "zip that can be read" in reply.json["error"]


# --- In the browser -----------------------------------------------------------------------


def test_progress_is_shown_as_it_goes_on(here, served, chromium):
    with desk_at(here, served, chromium) as desk:
        answer(here, 14, 12)
        page = desk.open("/learning")
        run = begin_training(here)
        run._note_progress({"stage": "features", "done": 1, "total": 180})
        expect(page.locator("#now-title")).to_have_text("A training is running")
        run._note_progress({"stage": "verdicts", "done": 90, "total": 900})
        expect(page.locator("#stage")).to_have_text("Comparing with earlier verdicts")
        expect(page.locator("#counted")).to_have_text("90 of 900")
        expect(page.locator("#progress")).to_have_attribute("value", "90")
        expect(page.locator("#waits")).to_be_hidden()


def test_learning_is_cancelled_then_done_used_against_advice_and_taken_back(here, served, chromium):
    """By keyboard only, with the real trainer. The tiny model has no base set."""
    checks = answer(here, 11, 11)
    keep_real_crops(here, checks)
    with here.service.learning, desk_at(here, served, chromium) as desk:
        page = desk.open("/learning")
        press(page, "Learn now")
        expect(page.locator("#now-title")).to_have_text("A training is running")
        (trainer,) = eventually(lambda: trainers(os.getpid()))
        trainer.suspend()  # it is not over before it is cancelled
        press(page, "Cancel")
        expect(page.locator("#last-title")).to_have_text("The last training was cancelled")
        press(page, "Learn now")
        found = page.locator("#last-title")
        expect(found).to_have_text(
            "A new version was made, but is not in use", timeout=within(120_000)
        )
        expect(page.locator("#learning")).to_contain_text("no harm elsewhere")
        press(page, "Everything about this training")
        expect(page.locator("h1")).to_have_text("Training 2")
        press(page, "Use it anyway…")
        expect(page.get_by_role("dialog")).to_contain_text("against the advice")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(".in-use h3")).to_contain_text("personal-0001")
        press(page, "Back to the one before")
        expect(page.locator(".in-use h3")).to_contain_text("As the model came")
        desk.toast("In use again")


def test_a_pack_is_saved_and_imported_elsewhere_after_a_preview(
    here, served, chromium, installed, tmp_path
):
    keep_real_crops(here, answer(here, 3, 2))
    with desk_at(here, served, chromium) as desk:
        page = desk.open("/learning")
        with page.expect_download() as saving:
            page.get_by_role("link", name="Save it with the copies").click()
        file = tmp_path / "pack.zip"
        saving.value.save_as(file)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with (
        world(elsewhere, installed) as there,
        serving(there.app()) as url,
        desk_at(there, url, chromium) as desk,
    ):
        page = desk.open("/learning")
        page.set_input_files("#pack", file)
        preview = page.get_by_role("dialog")
        expect(preview).to_contain_text("New answers: 5.")
        expect(preview).to_contain_text("Copies of pictures: 5.")
        shoot(page, "learning-import")
        preview.get_by_role("button", name="Cancel").click()
        assert there.service.learning.state().words_real == 0
        page.set_input_files("#pack", file)
        preview.get_by_role("button", name="Import").click()
        desk.toast("The pack is imported: 5 new answers.")
        expect(page.locator(".balance")).to_contain_text("3 of 10")
        (tmp_path / "no.zip").write_bytes(b"no pack")
        page.set_input_files("#pack", tmp_path / "no.zip")
        desk.toast("zip that can be read")


def press(page: Page, name: str) -> None:
    """Goes to a control with the Tab key alone, sees that it shows its focus, and presses it."""
    page.wait_for_load_state()  # the scripts of a new page may not have run yet
    place = page.get_by_text(name, exact=True).first
    expect(place).to_be_visible()
    for _ in range(80):
        about = page.evaluate(FOCUSED)
        if about["name"] == name:
            break
        page.keyboard.press("Tab")
    assert about["name"] == name
    assert about["outline"] != "none"
    page.keyboard.press("Enter")
