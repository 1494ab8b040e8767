"""`antifake learning`, without a daemon and with one."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from conftest import tiny_prompt
from kit.command_line import antifake
from kit.daemon import tiny_home_in

from antifake.core.promptbook import Promptbook
from antifake.daemon import app, instance
from antifake.daemon.places import places
from antifake.daemon.store import checks, corrections, crops, open_store, trainings
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.crops import CropFiles

NOW = datetime.now(UTC)


@pytest.fixture
def where(tiny_source, tmp_path, monkeypatch):
    """A user with two labelled pictures, one that the model is unsure of, and two versions."""
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path / "home"))
    home = tiny_home_in(tmp_path / "home", tiny_source)
    bundle = home.bundle()
    prompt = tiny_prompt(2, base=bundle.manifest.fingerprint, threshold=0.5)
    Promptbook(home.prompts).add("personal-0001", prompt.to_bytes())
    found = places()
    found.make()
    files = CropFiles(found.crops)
    with open_store(found.database, NOW) as store, store.writing() as session:
        for number, label in enumerate(("real", "fake", "unsure")):
            sha256 = hashlib.sha256(bytes([number])).hexdigest()
            finding = Finding(
                source="cli", label=label, p_fake=0.5, sha256=sha256, name=f"{number}.png"
            )
            checks.add(session, finding, NOW)
            checks.keep_thumbnail(session, sha256, b"RIFF", NOW)
            files.write(sha256, b"RIFF")
            crops.note(session, sha256, 4, 28, NOW)
            if label != "unsure":
                corrections.correct(session, [sha256], NewCorrection(label, "cli"), NOW)
    return found


@pytest.fixture(params=["at rest", "with a daemon"])
def way(request, where):
    if request.param == "at rest":
        yield
        return
    with instance.single_instance(where), app.started(where, lambda: None):
        yield


def shown(*words: str) -> str:
    return antifake("learning", *words).stdout


def as_json(*words: str):
    return json.loads(shown(*words, "--json"))


@pytest.mark.usefixtures("way")
def test_the_state_is_shown():
    text = shown()
    assert "1 real, 1 AI-made; 2 new since the last training" in text
    assert "not now     9 more real and 9 more AI-made pictures are needed." in text
    assert "2 (0.0 MB) kept with your corrections, 1 (0.0 MB) held" in text
    assert as_json()["words_real"] == 1


@pytest.mark.usefixtures("way")
def test_pictures_that_contradict_each_other_are_listed_by_group(where):
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(2)]
    report = {"outcome": "nothing", "reason": "No.", "words": {"contradictions": [hashes]}}
    with open_store(where.database, NOW) as store, store.writing() as session:
        number = trainings.begin(session, "cli", "tiny@1", "00" * 32, NOW).id
        trainings.reported(session, number, report, None)
        trainings.finish(session, number, "done", "No.", NOW)
    (group,) = as_json("contradictions", str(number))
    assert [one["label"] for one in group] == ["real", "fake"]
    lines = shown("contradictions", str(number)).splitlines()
    assert [line.split()[0] for line in lines] == ["GROUP", "1", "1"]
    assert "AI-made" in lines[2]
    antifake("label", group[0]["id"], "ai")
    assert "contradicts itself" in antifake("learning", "contradictions", str(number)).output


@pytest.mark.usefixtures("where")
def test_a_training_needs_the_daemon():
    assert "not running" in antifake("retrain", code=4).output


def test_a_training_that_cannot_be_says_why(where):
    with instance.single_instance(where), app.started(where, lambda: None):
        refused = antifake("retrain", "--wait", code=1).output
        assert "9 more real and 9 more AI-made pictures are needed." in refused
        assert "No training is running." in antifake("learning", "cancel", code=2).output
        assert "There is no training 7." in antifake("learning", "promote", "7", code=1).output
        assert "There is no training 7." in antifake("learning", "flips", "7", code=1).output
        assert as_json("trainings") == []


@pytest.mark.usefixtures("way")
def test_versions_are_listed_used_taken_back_pinned_and_compared():
    assert "*  first" in shown("versions")
    assert "personal-0001@" in antifake("learning", "use", "personal-0001").output
    assert "*  personal-0001" in shown("versions")
    assert as_json("rollback")["name"] == "first"
    assert "pinned" in antifake("learning", "pin", "first").output
    assert "*! first" in shown("versions")
    assert not as_json("pin", "--off")["is_pinned"]
    antifake("learning", "pin", code=2)
    compared = shown("compare", "first", "personal-0001")
    assert "threshold" in compared
    assert "0.500" in compared
    assert "no version" in antifake("learning", "use", "none", code=1).output


@pytest.mark.usefixtures("way")
def test_the_budget_is_set_and_shown():
    assert "1 in 20" in antifake("learning", "budget", "20").output
    assert as_json("budget")["one_in"] == 20
    assert "no limit" in antifake("learning", "budget", "0").output


@pytest.mark.usefixtures("way")
def test_pictures_are_reviewed_and_skipped():
    (item,) = as_json("review")["items"]
    assert item["why"] in shown("review")
    skipped = antifake("learning", "review", "--skip", item["check"]["id"]).output
    assert "nothing to review" in skipped


@pytest.mark.usefixtures("way")
def test_crops_are_listed_and_deleted(where):
    listed = as_json("crops")
    assert len(listed) == 3
    one = listed[0]["sha256"]
    assert one in shown("crops")
    assert "1 crop was deleted" in antifake("learning", "crops", "--delete", one).output
    assert not CropFiles(where.crops).path(one).exists()
    antifake("learning", "crops", "--delete-all")
    assert as_json("crops") == []
    assert list(where.crops.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_a_pack_goes_out_and_comes_in(tmp_path):
    file = tmp_path / "mine.zip"
    antifake("learning", "export", file)
    assert file.stat().st_mode & 0o777 == 0o600
    again = antifake("learning", "export", file, code=2).output
    assert "nothing was overwritten" in again
    preview = antifake("learning", "import", file, "--preview").output
    assert "It has no answers that are new here." in preview
    assert "Answers that you already have: 2." in preview
    assert as_json("import", str(file))["words_known"] == 2
    (tmp_path / "bad.zip").write_bytes(b"PK")
    refused = antifake("learning", "import", tmp_path / "bad.zip", code=1).output
    assert "This pack is refused: it is not a zip that can be read." in refused
    assert "no file" in antifake("learning", "import", tmp_path / "none.zip", code=2).output
