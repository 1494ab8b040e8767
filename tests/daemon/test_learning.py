"""What learning keeps, counts, asks about and puts into use, with the tiny model and its API."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from conftest import tiny_prompt
from kit.daemon import running_daemon
from kit.pictures import png
from PIL import Image
from sqlalchemy import event

from antifake.core.images import decode
from antifake.core.promptbook import Promptbook
from antifake.daemon.learning.request import Material
from antifake.daemon.learning.review import queue
from antifake.daemon.store import checks, corrections, crops, trainings
from antifake.daemon.store.checks import Finding


@pytest.fixture(scope="module")
def running(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


@pytest.fixture
def daemon(running):
    """A daemon whose history is empty and whose settings are the defaults."""
    yield running
    names = [one["id"] for one in running.get("/checks?limit=500").json["checks"]]
    if names:
        running.post("/checks:forget", {"ids": names})
    running.post("/learning/crops:delete", {"sha256s": None})
    names = running.get("/settings").json
    running.send("PATCH", "/settings", {one: None for one in names if one.startswith("learning.")})
    home = running.places.home
    for path in (home.prompts / "active.json", *home.prompts.glob("personal-*")):
        path.unlink()
    Promptbook(home.prompts).use("first", home.bundle())


def judged(daemon, seed: int, **fields: str) -> dict:
    reply = daemon.check(png(seed), **fields)
    assert reply.status == 201
    return reply.json


def label(daemon, check: dict, label: str) -> None:
    assert daemon.send("PUT", f"/checks/{check['id']}/label", {"label": label}).status == 200


def crop_files(daemon) -> set[str]:
    return {path.stem for path in daemon.places.crops.glob("*")}


def size_of(daemon) -> int:
    return daemon.service.learning._place.versions.bundle().manifest.image_size


def test_the_crop_that_the_model_saw_is_kept_for_this_user_only(daemon):
    check = judged(daemon, 1)
    path = daemon.places.crops / f"{hashlib.sha256(png(1)).hexdigest()}.webp"
    kept = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    assert (kept == decode(png(1), size_of(daemon)).crop).all()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    (listed,) = daemon.get("/learning/crops").json["crops"]
    assert listed["check"] == check["id"]
    assert listed["bytes"] == path.stat().st_size
    assert listed["is_kept"] is False


def test_no_crop_of_a_private_picture_is_kept(daemon):
    judged(daemon, 1, private="true")
    assert crop_files(daemon) == set()
    assert daemon.get("/learning/crops").json["crops"] == []


def test_no_crop_is_kept_if_the_settings_say_so(daemon):
    daemon.send("PATCH", "/settings", {"learning.hold_crops": 0})
    judged(daemon, 1)
    assert crop_files(daemon) == set()


def test_a_crop_is_held_for_a_while_and_kept_if_the_user_labels_its_picture(daemon):
    judged_ = [judged(daemon, seed) for seed in range(4)]
    label(daemon, judged_[0], "real")
    state = daemon.get("/learning").json
    assert (state["held"]["n"], state["kept"]["n"]) == (3, 1)
    assert state["kept"]["bytes"] > 0
    daemon.send("PATCH", "/settings", {"learning.hold_crops": 1})
    assert daemon.service.learning.crops.trim() == 2
    assert crop_files(daemon) == {judged_[0]["sha256"], judged_[3]["sha256"]}
    daemon.send("PATCH", "/settings", {"learning.hold_days": 0})
    assert daemon.service.learning.crops.trim() == 1
    assert crop_files(daemon) == {judged_[0]["sha256"]}
    daemon.ask("DELETE", f"/checks/{judged_[0]['id']}/label")
    assert daemon.service.learning.crops.trim() == 1
    assert crop_files(daemon) == set()


def test_a_forgotten_picture_leaves_no_crop(daemon):
    check, other = judged(daemon, 1), judged(daemon, 2)
    label(daemon, check, "fake")
    assert daemon.ask("DELETE", f"/checks/{check['id']}").status == 204
    assert crop_files(daemon) == {other["sha256"]}
    assert [one["sha256"] for one in daemon.get("/learning/crops").json["crops"]] == [
        other["sha256"]
    ]


def test_crops_can_be_deleted_one_by_one_and_all_at_once(daemon):
    judged_ = [judged(daemon, seed) for seed in range(3)]
    gone = daemon.post("/learning/crops:delete", {"sha256s": [judged_[1]["sha256"]]})
    assert gone.json == {"deleted": 1}
    assert crop_files(daemon) == {judged_[0]["sha256"], judged_[2]["sha256"]}
    assert daemon.post("/learning/crops:delete", {"sha256s": None}).json == {"deleted": 2}
    assert crop_files(daemon) == set()
    assert len(daemon.get("/checks").json["checks"]) == 3


def test_crops_come_page_by_page(daemon):
    judged_ = {judged(daemon, seed)["sha256"] for seed in range(3)}
    first = daemon.get("/learning/crops?limit=2").json
    second = daemon.get(f"/learning/crops?limit=2&cursor={first['next']}").json
    assert {one["sha256"] for one in first["crops"] + second["crops"]} == judged_
    assert second["next"] is None


def test_files_that_a_killed_daemon_has_left_are_removed_and_others_are_not(daemon):
    check = judged(daemon, 1)
    folder = daemon.places.crops
    left_over = folder / f"{'ab' * 32}.webp"
    part = folder / f".{'cd' * 32}.{'0' * 16}"
    for path in (left_over, part, folder / "mine.webp"):
        path.write_bytes(b"x")
    kept = daemon.service.learning.crops
    kept.tidy()
    assert left_over.exists(), "a new file may belong to a check that is being recorded"
    later = kept.clock().replace(year=2100)
    with daemon.service.store.writing() as session:
        crops.note(session, check["sha256"], 1, 2, later)
    replace(kept, clock=lambda: later).tidy()
    assert {path.name for path in folder.iterdir()} == {f"{check['sha256']}.webp", "mine.webp"}
    (folder / "mine.webp").unlink()


def test_the_state_counts_what_the_user_said_and_says_what_is_missing(daemon):
    judged_ = [judged(daemon, seed) for seed in range(4)]
    for check, said in zip(judged_, ("real", "real", "fake", "unsure"), strict=True):
        label(daemon, check, said)
    state = daemon.get("/learning").json
    assert (state["words_real"], state["words_fake"], state["new_words"]) == (2, 1, 3)
    assert state["needed"] == "8 more real and 9 more AI-made pictures are needed."
    assert state["why_not"] == state["needed"]
    assert (state["running"], state["last"]) == (None, None)
    assert state["version"]["name"] == "first"
    assert state["next_run"] is not None
    refused = daemon.post("/learning/trainings", {})
    assert (refused.status, refused.code) == (409, "nothing_to_learn")
    assert refused.json["detail"] == state["needed"]


def test_copies_of_one_picture_count_once(daemon):
    for number in range(3):
        image = Image.open(io.BytesIO(png(7)))
        image.putpixel((number, 0), (0, 0, 0))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        label(daemon, daemon.check(buffer.getvalue()).json, "real")
    state = daemon.get("/learning").json
    assert (state["words_real"], state["groups_real"]) == (3, 1)


def test_versions_are_used_rolled_back_pinned_and_compared(daemon):
    book = Promptbook(daemon.places.home.prompts)
    book.add("personal-0001", tiny_prompt(2, threshold=0.5).to_bytes())
    names = [one["name"] for one in daemon.get("/learning/versions").json["versions"]]
    assert set(names) == {"first", "personal-0001"}
    used = daemon.post("/learning/versions:use", {"name": "personal-0001"}).json
    assert used["is_active"]
    assert judged(daemon, 1)["prompt"] == used["version"]
    compared = daemon.get("/learning/versions:compare?a=first&b=personal-0001").json
    assert (compared["threshold_a"], compared["threshold_b"]) == (0.0, 0.5)
    back = daemon.post("/learning/versions:rollback").json
    assert back["name"] == "first"
    assert judged(daemon, 2)["prompt"] == back["version"]
    assert daemon.post("/learning/versions:pin", {"name": "personal-0001"}).json["is_pinned"]
    assert daemon.service.config.learning.pinned == "personal-0001"
    daemon.post("/learning/versions:use", {"name": "first"})
    assert daemon.service.config.learning.pinned == "", "another version is in use now"
    assert daemon.post("/learning/versions:use", {"name": "none"}).status == 404


def test_without_trainings_their_addresses_say_so(daemon):
    assert daemon.get("/learning/trainings").json == {"trainings": []}
    for method, path in (
        ("GET", "/learning/trainings/1"),
        ("GET", "/learning/trainings/1/flips"),
        ("GET", "/learning/trainings/1/contradictions"),
        ("POST", "/learning/trainings/1/cancel"),
        ("POST", "/learning/trainings/1/promote"),
    ):
        reply = daemon.ask(method, path, b"", Content_Type="application/json")
        assert (reply.status, reply.code) == (404, "not_found")


# --- The review queue -----------------------------------------------------------------------


def review(daemon) -> list[tuple[str, str]]:
    found = daemon.get("/learning/review").json
    return [(one["check"]["id"], one["why"]) for one in found["items"]]


def stored(daemon, label: str, p_fake: float, **about) -> str:
    """Adds a check with a thumbnail, as if the model had said so. Returns its id."""
    sha256 = hashlib.sha256(repr((label, p_fake, about)).encode()).hexdigest()
    about = {"sha256": sha256, "format": "PNG", "phash": None} | about
    finding = Finding(source="api", label=label, p_fake=p_fake, model="m@1", prompt="p@1", **about)
    now = daemon.service.clock()
    with daemon.service.store.writing() as session:
        check = checks.add(session, finding, now)
        checks.keep_thumbnail(session, sha256, b"RIFF", now)
    return check.id


def test_the_most_useful_pictures_come_first_each_with_its_reason(daemon):
    known = stored(daemon, "real", 0.1, phash=0x0123456789ABCDEF)
    daemon.send("PUT", f"/checks/{known}/label", {"label": "fake"})
    stored(daemon, "real", 0.2)  # of the same kind as the labelled one: nothing new
    new = stored(daemon, "fake", 0.9, page="example.org")
    copy = stored(daemon, "real", 0.1, phash=0x0123456789ABCDEE)
    unsure = [stored(daemon, "unsure", p_fake) for p_fake in (0.58, 0.51)]
    assert review(daemon) == [
        (unsure[1], "The model cannot tell: 51 % for AI-made."),
        (unsure[0], "The model cannot tell: 58 % for AI-made."),
        (copy, "You said that a near-copy of it is AI-made; the model says real."),
        (new, "You have not yet said anything about a picture from example.org."),
    ]


def test_a_day_has_ten_pictures_whatever_is_answered(daemon):
    for number in range(25):
        stored(daemon, "unsure", 0.4 + number / 1000)
    first = review(daemon)
    assert len(first) == 10
    for name, _ in first[:4]:
        daemon.send("PUT", f"/checks/{name}/label", {"label": "real"})
    daemon.post("/learning/review:skip", {"ids": [first[4][0]]})
    found = daemon.get("/learning/review").json
    assert [one["check"]["id"] for one in found["items"]] == [name for name, _ in first[5:]]
    assert found["done_today"] == 5


def test_what_was_skipped_comes_back_after_thirty_days(daemon):
    name = stored(daemon, "unsure", 0.5)
    assert len(review(daemon)) == 1
    assert daemon.post("/learning/review:skip", {"ids": [name]}).status == 204
    assert review(daemon) == []
    now = daemon.service.clock()
    with daemon.service.store.writing() as session:
        for days, n in ((29, 0), (31, 1)):
            assert len(queue(session, now + timedelta(days=days)).items) == n
    assert daemon.post("/learning/review:skip", {"ids": ["0" * 13]}).status == 404


def test_near_copies_are_asked_about_once(daemon):
    for bit in range(3):
        stored(daemon, "unsure", 0.5, phash=0x0123456789ABCDEF ^ 1 << bit)
    assert len(review(daemon)) == 1


# --- Packs, over HTTP -----------------------------------------------------------------------


def test_a_pack_is_exported_previewed_and_imported_over_http(daemon):
    check = judged(daemon, 1)
    label(daemon, check, "fake")
    reply = daemon.get("/learning/pack?crops=true")
    assert reply.headers["Content-Type"] == "application/zip"
    daemon.ask("DELETE", f"/checks/{check['id']}")
    zip_ = {"Content_Type": "application/zip"}
    preview = daemon.ask("POST", "/learning/pack:preview", reply.body, **zip_).json
    assert (preview["words_new"], preview["crops"]) == (1, 1)
    assert crop_files(daemon) == set(), "a preview changes nothing"
    assert daemon.ask("POST", "/learning/pack:import", reply.body, **zip_).json == preview
    assert crop_files(daemon) == {check["sha256"]}
    assert judged(daemon, 1)["label"] == "fake"
    again = daemon.ask("POST", "/learning/pack:import", reply.body, **zip_).json
    assert (again["words_new"], again["words_known"], again["crops"]) == (0, 1, 0)
    refused = daemon.ask("POST", "/learning/pack:import", b"PK nonsense", **zip_)
    assert (refused.status, refused.code) == (422, "bad_pack")
    wrong = daemon.ask("POST", "/learning/pack:import", reply.body, Content_Type="text/csv")
    assert wrong.status == 415


def test_the_only_version_of_a_model_cannot_be_taken_back(daemon):
    refused = daemon.post("/learning/versions:rollback")
    assert (refused.status, refused.code) == (400, "bad_request")
    assert refused.json["detail"] == "tiny has no older prompt to go back to."
    assert daemon.get("/learning").json["version"]["name"] == "first"


def test_a_picture_whose_crop_is_gone_is_read_again_if_its_file_is_unchanged(daemon, tmp_path):
    same, other = tmp_path / "same.png", tmp_path / "other.png"
    for path, seed in ((same, 1), (other, 2)):
        path.write_bytes(png(seed))
        label(daemon, judged(daemon, seed, path=str(path)), "real")
    label(daemon, judged(daemon, 3), "real")
    kept = {path.name: path.read_bytes() for path in daemon.places.crops.iterdir()}
    daemon.post("/learning/crops:delete", {"sha256s": None})
    assert daemon.get("/learning").json["without_picture"] == 1, "it came as bytes"
    other.write_bytes(png(4))
    place = daemon.service.learning._place
    material = Material(place.store, place.crop_files, size_of(daemon))
    with place.store.reading() as session:
        words = corrections.words(session)
    material.read_again(words, daemon.service.clock, lambda: False)
    sha256 = hashlib.sha256(png(1)).hexdigest()
    assert crop_files(daemon) == {sha256}
    assert place.crop_files.path(sha256).read_bytes() == kept[f"{sha256}.webp"]
    assert material.has(words) == {sha256}


def reported(daemon, report: dict) -> int:
    """Records a training with this report. Returns its number."""
    with daemon.service.store.writing() as session:
        one = trainings.begin(session, "cli", "tiny@1", "00" * 32, daemon.service.clock())
        trainings.reported(session, one.id, report, None)
        trainings.finish(session, one.id, "done", "No.", daemon.service.clock())
    return one.id


def test_a_group_that_contradicts_itself_is_listed_once_until_it_is_decided(daemon):
    copies = [judged(daemon, seed) for seed in range(4)]
    said = [(one["id"], "fake" if seed in (1, 2) else "real") for seed, one in enumerate(copies)]
    for name, says in said:
        label(daemon, {"id": name}, says)
    group = [one["sha256"] for one in copies]
    number = reported(daemon, {"outcome": "nothing", "words": {"contradictions": [group]}})
    path = f"/learning/trainings/{number}"

    def listed():
        groups = daemon.get(f"{path}/contradictions").json["groups"]
        return [[(one["id"], one["label"]) for one in found] for found in groups]

    assert listed() == [said]
    daemon.ask("DELETE", f"/checks/{copies[0]['id']}")
    assert listed() == [said[1:]], "the others still contradict each other"
    report = daemon.get(path).json["report"]
    assert report["words"]["contradictions"] == [group[1:]]
    label(daemon, copies[3], "unsure")
    assert listed() == []


def test_a_forgotten_picture_is_in_no_report(daemon):
    check, other = judged(daemon, 1), judged(daemon, 2)
    verdict = {
        "before": {"label": "real", "p_fake": 0.1},
        "after": {"label": "fake", "p_fake": 0.9},
    }
    report = {
        "outcome": "candidate",
        "words": {"contradictions": [[check["sha256"], other["sha256"]]]},
        "flips": {
            "mended": [check["sha256"], other["sha256"]],
            "broken": [],
            "verdicts": [{"id": one["id"], **verdict} for one in (check, other)],
            "judged": 2,
        },
    }
    number = reported(daemon, report)
    flips = daemon.get(f"/learning/trainings/{number}/flips").json["flips"]
    assert [(flip["check"]["id"], flip["kind"]) for flip in flips] == [
        (check["id"], "mended"),
        (other["id"], "mended"),
    ]
    assert flips[0]["before"] == "real"
    assert flips[0]["p_after"] == 0.9
    daemon.ask("DELETE", f"/checks/{check['id']}")
    left = daemon.get(f"/learning/trainings/{number}").json["report"]
    assert left["words"]["contradictions"] == []
    assert left["flips"]["mended"] == [other["sha256"]]
    assert [verdict["id"] for verdict in left["flips"]["verdicts"]] == [other["id"]]


@pytest.mark.attack
def test_many_words_take_no_question_to_the_history_each(daemon):
    rows = [
        json.dumps(
            {
                "id": f"{n:013d}",
                "sha256": f"{n:064x}",
                "phash": hashlib.sha256(bytes([n % 250])).hexdigest()[:16],
                "label": "real",
                "p_fake": 0.1,
                "path": f"/a/{n}.png" if n % 2 else None,
                "said": ("real", "fake")[n % 2],
                "said_at": daemon.service.clock().isoformat(),
            }
        )
        for n in range(400)
    ]
    assert daemon.service.import_rows(rows, "jsonl", 0, lambda: False).added == 400
    asked, engine = [], daemon.service.store.database.engine
    note = lambda *about: asked.append(about[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", note)
    try:
        state = daemon.service.learning.state()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert (state.words_real, state.words_fake, state.without_picture) == (200, 200, 200)
    assert len(asked) < 30
