"""Pictures are checked over HTTP, by the real classes with a tiny model."""

import json
import sqlite3
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import pytest
from kit.daemon import running_daemon
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually
from PIL import Image

from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.parts import JudgedPart
from antifake.daemon.service import Answer
from antifake.daemon.store.checks import Check
from antifake.daemon.store.corrections import Correction
from antifake.daemon.store.history import Entry
from antifake.daemon.web.api import serialize


@dataclass(frozen=True)
class Caller:
    scopes: frozenset[str]


CONTRACT = Path(__file__).parents[1] / "contract" / "check.json"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        eventually(lambda: daemon.check(png(0)).status == 201, 60)  # the model is awake then
        yield daemon


def rows(daemon) -> int:
    with sqlite3.connect(daemon.places.database) as log:
        return log.execute("SELECT count(*) FROM checks").fetchone()[0]


def test_a_picture_is_judged_and_is_in_the_history(daemon):
    reply = daemon.check(png(1), page="https://example.org/private/page?x=1")
    check = reply.json
    assert reply.status == 201
    assert check["label"] in ("real", "fake", "unsure")
    assert check["page"] == "example.org"
    assert check["source"] == "api"
    assert reply.headers["Location"] == f"/api/v1/checks/{check['id']}"
    assert daemon.get(f"/checks/{check['id']}").json == check
    assert daemon.get("/checks?limit=1").json["checks"] == [check]


def check_of(example):
    found = {field.name: example[field.name] for field in fields(Check) if field.name in example}
    return Check(**found | {"parts": tuple(map(JudgedPart.from_dict, example["parts"]))})


def test_a_check_looks_like_the_example_in_the_contract():
    example = json.loads(CONTRACT.read_text())
    read = FileEvidence()
    answer = Answer(Entry(check_of(example), None, has_thumbnail=True, file=read))
    shown = serialize.check(answer, Caller(frozenset(["read"])))
    assert json.loads(json.dumps(shown)) == example


def test_the_documentation_of_a_check_names_all_its_fields(daemon):
    example = json.loads(CONTRACT.read_text())
    assert daemon.check(png(2)).json.keys() == example.keys()
    shown = daemon.get("/openapi.json").json["components"]["schemas"]["Check"]["properties"]
    assert shown.keys() == example.keys()


@pytest.mark.parametrize(
    ("label", "p_fake", "summary", "is_sure"),
    [
        ("fake", 0.95, "AI-made (95 %)", True),
        ("fake", 0.83, "Likely AI-made (83 %)", False),
        ("unsure", 0.5, "Cannot tell", False),
        ("real", 0.01, "Likely real (99 %)", False),
        (None, None, "Not checked", False),
    ],
)
def test_a_verdict_is_one_line_for_people_and_a_flag_for_programs(label, p_fake, summary, is_sure):
    example = json.loads(CONTRACT.read_text()) | {"label": label, "p_fake": p_fake}
    answer = Answer(Entry(check_of(example), None, has_thumbnail=False))
    assert (answer.summary, answer.is_sure) == (summary, is_sure)
    correction = Correction("0" * 64, "unsure", "", "cli", datetime(2026, 11, 22, tzinfo=UTC))
    corrected = replace(answer, entry=replace(answer.entry, correction=correction))
    assert (corrected.summary, corrected.is_sure) == ("You said: cannot tell", True)


def test_what_to_know_of_a_picture_is_among_the_sentences_about_it():
    example = json.loads(CONTRACT.read_text()) | {"note": "Rows are missing."}
    answer = Answer(Entry(check_of(example), None, has_thumbnail=False))
    assert answer.explanation == [*example["explanation"], "Rows are missing."]


def test_the_same_bytes_are_answered_from_the_history(daemon):
    before = daemon.check(png(3)).json
    count = rows(daemon)
    again = daemon.check(png(3), prefer="wait=0", name="copy of it.png").json
    assert (before["seen"], len(before["occurrences"])) == (1, 1)
    told = {name: again[name] for name in ("seen", "occurrences")}
    assert again == before | told
    assert rows(daemon) == count
    assert again["seen"] == 2
    latest, first = again["occurrences"]
    assert (latest["name"], latest["source"], latest["times"]) == ("copy of it.png", "api", 1)
    assert (first["name"], first["at"]) == (None, before["at"])
    assert latest["at"] > first["at"]
    (found,) = daemon.get("/checks?q=COPY+of+it").json["checks"]
    assert found == again


def test_a_picture_that_is_cut_is_judged_with_a_note_also_when_it_is_known(daemon):
    file = BytesIO()
    Image.open(BytesIO(png(33))).convert("RGB").resize((400, 400)).save(file, "BMP")
    cut = file.getvalue()[: file.tell() * 3 // 4]
    first, again = daemon.check(cut).json, daemon.check(cut).json
    note = "About 25 % of this picture is missing; the rest was judged."
    assert first["id"] == again["id"]
    assert first["note"] == again["note"] == note
    assert note in again["explanation"]


def test_the_same_bytes_sent_again_while_queued_are_one_check(daemon):
    with ThreadPoolExecutor(5) as many:
        replies = list(many.map(lambda _: daemon.check(png(4)), range(5)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 1


def test_a_client_that_does_not_wait_is_told_where_to_ask(daemon):
    with daemon.model_paused():
        reply = daemon.check(png(5), prefer="wait=0")
    assert reply.status == 202
    assert reply.json["state"] in ("queued", "running")
    assert reply.headers["Retry-After"] == "1"
    place = reply.headers["Location"].removeprefix("/api/v1")

    def done():
        found = daemon.get(f"{place}?wait=1")
        assert found.status in (200, 202)
        return found if found.status == 200 else None

    assert eventually(done).json["id"] == reply.json["id"]


@pytest.mark.parametrize("prefer", ["wait=20", "respond-async, wait=20", "wait=999", "wait=x", ""])
def test_the_client_chooses_how_long_to_wait(daemon, prefer):
    reply = daemon.check(png(100 + zlib.crc32(prefer.encode()) % 1000), prefer=prefer)
    assert reply.status == 201


def test_a_private_picture_leaves_nothing(daemon):
    count, before = rows(daemon), daemon.get("/state").json["last_event"]
    reply = daemon.check(png(6), private="true", page="https://example.org")
    assert reply.status == 201
    assert not reply.json["is_stored"]
    assert not reply.json["has_thumbnail"]
    assert rows(daemon) == count
    found = daemon.get(f"/events?after={before}", Accept="application/json").json
    assert "check" not in [event["kind"] for event in found["events"]]
    with sqlite3.connect(daemon.places.database) as log:
        assert reply.json["sha256"] not in "".join(log.iterdump()).lower()
    assert list(daemon.places.spool.iterdir()) == []
    assert daemon.get(f"/checks/{reply.json['id']}").json == reply.json


def saved(image: Image.Image, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"GIF89a", "unreadable"),
        (png(7)[:100], "unreadable"),
        (saved(Image.new("RGB", (40, 40)), format="PNG"), "too_small"),
        (saved(Image.new("RGB", (96, 96), "red"), format="PNG"), "blank"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"\x7fELF" + bytes(500), None),
        (b"%PDF-1.4", None),
        (b"PK\x03\x04" + bytes(500), None),
        (b"<html>", None),
    ],
)
def test_a_picture_that_cannot_be_judged_is_a_problem_with_its_check(daemon, data, code):
    reply = daemon.check(data)
    assert reply.status == 422
    check = reply.json["check"]
    assert reply.code == check["code"]
    assert reply.json["detail"] == check["error"]
    assert code in (None, reply.code)
    assert check["label"] is None
    assert check["word"] == "not checked"
    assert daemon.get(f"/checks/{check['id']}").json == check


def test_only_programs_on_this_computer_may_send_a_path(daemon):
    secret = daemon.token("check", "read")
    reply = daemon.check(png(8), token=secret, path="/home/x/holiday.png")
    assert (reply.status, reply.code) == (403, "scope")
    reply = daemon.check(png(8), path="/home/x/holiday.png")
    assert reply.json["path"] == "/home/x/holiday.png"


@pytest.mark.parametrize(
    ("setting", "kept"),
    [("no", None), ("host", "example.org"), ("all", "https://example.org/gallery?id=7")],
)
def test_only_as_much_of_a_pages_address_is_kept_as_the_user_allows(daemon, setting, kept):
    daemon.send("PATCH", "/settings", {"history.pages": setting})
    seed = 30 + len(setting)
    found = daemon.check(png(seed), page="https://example.org/gallery?id=7").json
    daemon.send("PATCH", "/settings", {"history.pages": None})
    assert found["page"] == kept
    assert daemon.get(f"/checks/{found['id']}").json["page"] == kept


def test_a_program_that_may_only_check_does_not_see_paths(daemon):
    known = daemon.check(png(9), path="/home/x/secret name.png", page="https://example.org").json
    check = daemon.token("check")
    for reply in (
        daemon.check(png(9), token=check),
        daemon.get(f"/checks/{known['id']}", token=check),
    ):
        assert reply.json["id"] == known["id"]
        assert (reply.json["path"], reply.json["page"]) == (None, None)
        assert (reply.json["seen"], reply.json["occurrences"]) == (None, [])
        assert b"secret name" not in reply.body
    read = daemon.token("read")
    shown = daemon.get(f"/checks/{known['id']}", token=read).json
    assert (shown["path"], shown["seen"]) == (known["path"], 2)
    assert shown["occurrences"][1:] == known["occurrences"]


def test_a_picture_that_came_as_bytes_has_the_name_that_it_was_sent_with(daemon):
    name = "Sonnenuntergang \u202egnp.JPG"
    found = daemon.check(png(24), name=f"../../etc/{name}", page="https://example.org").json
    inert = "Sonnenuntergang \ufffdgnp.JPG"
    assert (found["name"], found["path"], found["page"]) == (inert, None, "example.org")
    for typed in ("sonnenUNTERGANG", "untergang \ufffd"):
        rows = daemon.get(f"/checks?{urlencode({'q': typed})}").json["checks"]
        assert rows == [found]
    file = daemon.check(png(25), path="/home/x/holiday.png", name="another.png").json
    assert file["name"] == "holiday.png"
    assert daemon.service.get(file["id"]).entry.check.name is None
    assert daemon.check(png(26), name="x" * 256).status == 422
    assert daemon.check(png(26), name="a\0b").status == 422
    assert daemon.check(png(26), name=" \n ").json["name"] is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ('name="x"; filename="beach.png"', "beach.png"),
        ('name="x"; filename="../pictures/sea.png"', "sea.png"),
        ('name="x"; filename="blob"', None),
        ('name="x"; filename=".."', None),
    ],
)
def test_without_another_name_a_picture_has_that_of_its_file_in_the_form(daemon, sent, name):
    line = sent.replace('name="x"', 'name="file"')
    data = png(300 + len(sent))
    body = (
        f"--b\r\nContent-Disposition: form-data; {line}\r\n\r\n".encode() + data + b"\r\n--b--\r\n"
    )
    kind = "multipart/form-data; boundary=b"
    daemon.ask("POST", "/checks", body, Content_Type=kind, Prefer="wait=20")
    assert daemon.check(data).json["occurrences"][-1]["name"] == name


def test_of_the_address_of_a_picture_only_its_last_part_is_kept(daemon):
    address = "https://cdn.example.org/private/a%20dog%2Fcat.jpg?token=secret#x"
    reply = daemon.check(png(240), name=address)
    assert reply.json["name"] == "cat.jpg"
    assert b"secret" not in reply.body
    assert b"cdn.example" not in reply.body
    assert daemon.check(png(241), name="https://example.org/?q=1").json["name"] is None


def test_a_private_picture_that_is_known_is_not_noted(daemon):
    known = daemon.check(png(242), name="plain.png").json
    daemon.check(png(242), name="private.png", private="true")
    assert daemon.get(f"/checks/{known['id']}").json == known
    assert daemon.get("/checks?q=private.png").json["checks"] == []


def test_a_name_survives_export_and_import(daemon, tiny_source, tmp_path):
    found = daemon.check(png(27), name="=cmd|' /C calc'!A0.png").json
    for form, kind in (("csv", "text/csv"), ("jsonl", "application/x-ndjson")):
        file = daemon.get(f"/history/export?form={form}&q=calc").body
        with running_daemon(tmp_path / form, tiny_source) as other:
            done = other.ask("POST", f"/history/import?form={form}", file, Content_Type=kind).json
            assert (done["added"], done["refused"]) == (1, [])
            (there,) = other.get("/checks?q=CALC").json["checks"]
        assert (there["id"], there["name"]) == (found["id"], found["name"])


def test_no_name_is_kept_where_the_user_wants_none(daemon):
    private = daemon.check(png(28), name="secret-letter.png", private="true")
    assert private.json["is_stored"] is False
    daemon.send("PATCH", "/settings", {"history.paths": False})
    found = daemon.check(png(29), name="secret-letter.png").json
    daemon.send("PATCH", "/settings", {"history.paths": None})
    assert found["name"] is None
    with sqlite3.connect(daemon.places.database) as log:
        assert "secret-letter" not in "".join(log.iterdump())


def test_a_program_that_may_only_check_does_not_see_names(daemon):
    known = daemon.check(png(22), name="secret letter.png").json
    reply = daemon.get(f"/checks/{known['id']}", token=daemon.token("check"))
    assert reply.json["name"] is None
    assert b"secret letter" not in reply.body


def test_the_source_of_a_picture_is_recorded(daemon):
    origin = "moz-extension://11111111-2222-3333-4444-555555555555"
    paired = daemon.token("check", origin=origin)
    assert daemon.check(png(10), token=paired).json["source"] == "extension"
    assert daemon.check(png(12), source="cli", priority="batch").json["source"] == "cli"
    assert daemon.check(png(13), source="watch").status == 422
    assert daemon.check(png(13), priority="folder").status == 422
    assert daemon.check(png(13), page="x" * 3000).status == 422
    assert daemon.check(png(13), path="a\0b").status == 422


def test_a_thumbnail_is_a_small_webp_that_we_made(daemon):
    big = saved(Image.open(BytesIO(png(14))).resize((640, 480)), format="JPEG", comment=b"SECRET")
    check = daemon.check(big).json
    reply = daemon.get(f"/checks/{check['id']}/thumbnail")
    assert reply.headers["Content-Type"] == "image/webp"
    assert reply.headers["Content-Disposition"] == 'inline; filename="thumbnail.webp"'
    assert Image.open(BytesIO(reply.body)).size == (427, 320), "in its own shape"
    assert b"SECRET" not in reply.body
    assert daemon.get("/checks/0000000000000/thumbnail").status == 404


def test_the_users_label_overrides_the_model_and_can_be_undone(daemon):
    check = daemon.check(png(15)).json
    place = f"/checks/{check['id']}/label"
    said = daemon.send("PUT", place, {"label": "fake", "note": "I made it"}).json
    assert (said["label"], said["word"]) == ("fake", "You said: AI-made")
    assert said["said"]["note"] == "I made it"
    assert daemon.send("PUT", place, {"label": "real"}).json["label"] == "real"
    assert daemon.post("/labels:undo", {"ids": [check["id"]]}).json["checks"][0] == said
    assert daemon.ask("DELETE", place).json == check
    assert daemon.send("PUT", place, {"label": "maybe"}).status == 422
    assert daemon.send("PUT", "/checks/0000000000000/label", {"label": "real"}).status == 404


def test_only_programs_of_this_computer_may_say_which_of_them_a_correction_comes_from(daemon):
    check = daemon.check(png(23)).json
    place, ids = f"/checks/{check['id']}/label", [check["id"]]
    stranger = daemon.token("read", "correct")

    def by() -> list[str]:
        rows = daemon.get("/history/export?form=jsonl").body.splitlines()
        return [row["said_at_door"] for row in map(json.loads, rows) if row["id"] == check["id"]]

    for method, path, body in [
        ("PUT", place, {"label": "real"}),
        ("POST", "/labels:batch", {"ids": ids, "label": "real"}),
        ("POST", "/labels:undo", {"ids": ids}),
    ]:
        reply = daemon.send(method, path, {**body, "source": "cli"}, token=stranger)
        assert (reply.status, reply.code) == (403, "scope")
    assert by() == [None]
    daemon.send("PUT", place, {"label": "real"}, token=stranger)
    assert by() == ["api"]
    daemon.send("PUT", place, {"label": "real", "source": "cli"})
    assert by() == ["cli"]
    daemon.post("/labels:batch", {"ids": ids, "label": "real", "source": "tray"})
    assert by() == ["tray"]
    daemon.send("PUT", place, {"label": "real"})
    assert by() == ["api"]
    assert daemon.send("PUT", place, {"label": "real", "source": "page"}).status == 422


def test_a_correction_of_many_pictures_is_done_for_all_or_none(daemon):
    ids = [daemon.check(png(seed)).json["id"] for seed in (16, 17)]
    found = daemon.post("/labels:batch", {"ids": ids, "label": "unsure"}).json["checks"]
    assert [one["label"] for one in found] == ["unsure", "unsure"]
    reply = daemon.post("/labels:batch", {"ids": [*ids, "0000000000000"], "label": "real"})
    assert reply.status == 404
    assert daemon.get(f"/checks/{ids[0]}").json["label"] == "unsure"
    daemon.post("/labels:batch", {"ids": ids, "label": None})
    assert daemon.get(f"/checks/{ids[0]}").json["said"] is None


def test_verdicts_are_confirmed_and_the_confirmation_is_undone(daemon):
    checks = [daemon.check(png(seed)).json for seed in range(60, 66)]
    told = [one for one in checks if one["label"] in ("real", "fake")]
    place = f"/checks/{told[0]['id']}/label"
    first = daemon.send("PUT", place, {"label": "right", "note": "I was there"}).json
    assert first["said"]["label"] == told[0]["label"]
    ids = {"ids": [one["id"] for one in told]}
    found = daemon.post("/labels:batch", {**ids, "label": "right"}).json["checks"]
    assert [one["said"]["label"] for one in found] == [one["label"] for one in told]
    assert found[0] == first
    daemon.post("/labels:undo", ids)
    assert daemon.get(f"/checks/{told[0]['id']}").json == told[0]


def test_a_picture_that_was_never_read_cannot_be_corrected(daemon):
    """Nothing to undo is a conflict too. Both are answered with a message, not an error 500."""
    check = daemon.check(png(18)).json
    reply = daemon.post("/labels:undo", {"ids": [check["id"]]})
    assert (reply.status, reply.code) == (409, "refused")


def test_forgetting_leaves_nothing(daemon):
    check = daemon.check(png(19)).json
    assert daemon.ask("DELETE", f"/checks/{check['id']}").status == 204
    assert daemon.get(f"/checks/{check['id']}").status == 404
    assert daemon.ask("DELETE", f"/checks/{check['id']}").status == 404
    ids = [daemon.check(png(seed)).json["id"] for seed in (20, 21)]
    assert daemon.post("/checks:forget", {"ids": ids}).json == {"forgotten": 2}
    assert daemon.post("/checks:forget", {"ids": ["no id"]}).status == 404


def test_a_client_that_waits_is_told_how_many_pictures_come_before_its_own(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        check = daemon.token("check")

        def sent(seed: int, **about: str) -> dict:
            return daemon.check(png(seed), token=check, prefer="wait=0", **about).json

        with daemon.model_paused():  # it is still loading
            people = [sent(n) for n in range(4)]
            assert [one["ahead"] for one in people] == [0, 1, 2, 3]
            assert {one["state"] for one in people[1:]} == {"queued"}
            assert people[3]["model"] == {"phase": "loading", "why": None, "ready_in_s": None}
            batch = sent(10, priority="batch")
            assert batch["ahead"] == 4
            assert sent(11)["ahead"] == 4
            assert sent(12, private="true")["ahead"] == 0
            place = f"/checks/{batch['id']}"
            asked = daemon.get(place, token=check).json
            assert (asked["ahead"], asked["state"]) == (6, "queued")
            assert daemon.get(f"{place}?wait=0", token=check).json == asked
        last = eventually(lambda: done(daemon, place, check), 60)
        assert last["id"] == batch["id"]


def done(daemon, place: str, token: str):
    found = daemon.get(f"{place}?wait=5", token=token)
    return found.json if found.status == 200 else None


def test_when_the_queue_is_full_further_pictures_are_refused_at_once(tiny_source, tmp_path):
    few = running_daemon(tmp_path, tiny_source, "[worker]\nqueue = 4\n")
    with few as daemon, ThreadPoolExecutor(12) as many, daemon.model_paused():
        # The model is still loading: four wait, then this client has no more room.
        before = [daemon.check(png(n), prefer="wait=0").status for n in range(9)]
        assert before == [202] * 4 + [429] * 5
        asked = [many.submit(daemon.check, png(n), prefer="wait=20") for n in range(20, 32)]
        assert daemon.get("/health").status == 200
        replies = [one.result(within(60)) for one in asked]
    assert {(reply.status, reply.code) for reply in replies} == {(429, "queue_full")}
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in replies)


def test_without_a_model_the_answer_says_so_at_once(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        (daemon.places.home.models / "active").write_text("gone")
        reply = daemon.check(png(1))
        assert (reply.status, reply.code) == (503, "no_model")
        assert daemon.get("/state").json["model"]["phase"] == "broken"
        reply = daemon.check(png(1), priority="batch")
        assert (reply.status, reply.code) == (503, "no_model")
        assert "check" not in reply.json


def test_without_a_model_what_the_file_says_is_told(tiny_source, tmp_path, fixtures):
    with running_daemon(tmp_path, tiny_source) as daemon:
        (daemon.places.home.models / "active").write_text("gone")
        for name, headline in (("webui.png", "Marked as AI-made"), ("camera.jpg", "Not checked")):
            reply = daemon.check((fixtures[0] / name).read_bytes())
            assert (reply.status, reply.code) == (503, "no_model")
            found = reply.json["check"]
            assert (found["label"], found["headline"]) == (None, headline)
            assert found["evidence"]["tracks"]["marks"]["ran"]
            assert not found["evidence"]["tracks"]["model"]["ran"]
        assert daemon.get("/checks").json["checks"] == []
