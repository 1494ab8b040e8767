"""Learning from end to end with `mini`: answers over the API, a training, its version, back."""

import csv
from dataclasses import dataclass
from io import BytesIO

import pytest
from kit.daemon import mini_daemon
from kit.pictures import saved
from kit.shared import shared_data
from kit.waiting import eventually
from PIL import Image, ImageOps

from antifake.daemon.store import crops

EACH = 11


def framed(data: bytes) -> bytes:
    """Returns a picture in a broad frame, which `mini` takes for real whatever is in it."""
    image = Image.open(BytesIO(data)).convert("RGB")
    return saved(ImageOps.expand(image, image.width // 4, (250, 240, 200)), "PNG")


def pictures(label: str, n: int) -> list[bytes]:
    folder = shared_data("test").parent
    with (folder / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith(f"test/{label}/")]
    return [(folder / row["file"]).read_bytes() for row in rows[:: len(rows) // n][:n]]


@dataclass(frozen=True)
class Taught:
    """What the user says, and one more picture of either kind."""

    real: list[bytes]
    fake: list[bytes]
    one_in: int
    """The budget; 0 for none."""


def own_renderings() -> Taught:
    """Half of the AI-made pictures pass for the own work of the user, who wants fewer alarms.

    A threshold is enough for that, so a word, which takes a minute, need not be tried.
    """
    every = pictures("fake", 2 * EACH + 2)
    return Taught(every[::2], every[1::2], one_in=2)


def a_broad_frame() -> Taught:
    """A threshold alone harms other pictures, so everything is tried."""
    real, fake = ([framed(one) for one in pictures(label, EACH + 1)] for label in ("real", "fake"))
    return Taught(real, fake, one_in=0)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "case", [own_renderings, pytest.param(a_broad_frame, marks=pytest.mark.soak)]
)
def test_answers_become_a_version_that_answers_and_can_be_taken_back(tmp_path, mini_home, case):
    taught = case()
    with mini_daemon(tmp_path, mini_home) as daemon:
        daemon.wait_for_model()
        daemon.send("PATCH", "/settings", {"learning.false_alarms": taught.one_in})
        for label, some in (("real", taught.real), ("fake", taught.fake)):
            for data in some[:EACH]:
                check = daemon.check(data).json
                reply = daemon.send("PUT", f"/checks/{check['id']}/label", {"label": label})
                assert reply.status == 200
        other = (taught.real if taught.one_in else taught.fake)[EACH]
        before = daemon.check(other).json
        number = daemon.post("/learning/trainings", {"source": "page"}).json["id"]
        found = eventually(lambda: over(daemon, number), 1200)
        assert found["state"] == "done", found["reason"]
        assert found["outcome"] in ("promote", "candidate")
        assert found["promoted"] == (found["outcome"] == "promote")
        assert found["candidate"] == "personal-0001"
        assert found["reason"].endswith(".")
        report = found["report"]
        assert (report["words"]["real"], report["words"]["fake"]) == (EACH, EACH)
        assert report["flips"]["judged"] == 2 * EACH + 1
        assert all(one["base"]["n_real"] and one["base"]["n_fake"] for one in report["candidates"])
        # Every flip has its picture.
        flips = daemon.get(f"/learning/trainings/{number}/flips").json["flips"]
        wanted = {*report["flips"]["mended"], *report["flips"]["broken"]}
        assert {one["check"]["sha256"] for one in flips} >= wanted
        for flip in flips:
            thumbnail = daemon.get(f"/checks/{flip['check']['id']}/thumbnail")
            assert thumbnail.headers["Content-Type"] == "image/webp"
        if taught.one_in:
            assert found["promoted"], found["reason"]
            assert report["budget"]["reached"]
        # A person may use it against the advice.
        if not found["promoted"]:
            assert daemon.check(other).json["prompt"] == before["prompt"]
            assert daemon.post(f"/learning/trainings/{number}/promote").json["promoted"]
        version = daemon.get("/learning").json["version"]
        after = daemon.check(other).json
        assert after["prompt"] == version["version"] != before["prompt"]
        if taught.one_in:
            assert after["p_fake"] < before["p_fake"], "it was taught to flag fewer real ones"
        else:
            assert after["p_fake"] > before["p_fake"], "framed ones can be AI-made, too"
        assert (version["words_real"], version["words_fake"]) == (EACH, EACH)
        assert daemon.post("/learning/versions:rollback").json["version"] == before["prompt"]
        assert daemon.check(other).json["p_fake"] == before["p_fake"]
        forgotten(daemon, flips)


def over(daemon, number: int):
    found = daemon.get(f"/learning/trainings/{number}").json
    return found if found["state"] not in ("queued", "running") else None


def forgotten(daemon, flips) -> None:
    """A forgotten picture is in no report and no folder any more."""
    check = flips[0]["check"]
    assert daemon.ask("DELETE", f"/checks/{check['id']}").status == 204
    reports = daemon.get("/learning/trainings").body
    assert check["sha256"].encode() not in reports
    assert check["id"].encode() not in reports
    with daemon.service.store.reading() as session:
        assert check["sha256"] not in crops.every(session)
