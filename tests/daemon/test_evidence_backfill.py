"""What files say is read for older pictures, when a person asks and from their own files only."""

import json

import pytest
from kit.command_line import antifake as run
from kit.daemon import running_daemon
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.service.evidence_backfill import AT_ONCE, BackfillState

FORGET_IT = "DELETE FROM evidence"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


def judged(daemon, folder, pictures):
    """Has files judged, and what they say then forgotten, as if an old version had done it."""
    found = {}
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
        found[name] = daemon.check(data, path=str(folder / name)).json["id"]
    with daemon.service.store.writing() as session:
        session.connection().exec_driver_sql(FORGET_IT)
    daemon.service.backfill.close()
    vars(daemon.service).pop("backfill")
    return found


def at_its_end(daemon):
    return eventually(
        lambda: None if (now := daemon.get("/history/evidence").json)["is_running"] else now
    )


def basis(daemon, name):
    return daemon.get(f"/checks/{name}").json["basis"]


def test_older_pictures_are_read_from_files_that_are_still_the_same(daemon, fixtures, tmp_path):
    recipe = (fixtures[0] / "comfy.png").read_bytes()
    signed = (fixtures[0] / "c2pa_ai.jpg").read_bytes()
    gone, changed = (fixtures[0] / f"webui.{kind}" for kind in ("png", "jpg"))
    names = judged(
        daemon,
        tmp_path,
        {
            "recipe.png": recipe,
            "signed.jpg": signed,
            "gone.png": gone.read_bytes(),
            "changed.jpg": changed.read_bytes(),
        },
    )
    (tmp_path / "gone.png").unlink()
    (tmp_path / "changed.jpg").write_bytes(png(5))
    assert daemon.get("/history/evidence").json["left"] == 4
    assert {basis(daemon, name) for name in names.values()} == {"model"}
    reply = daemon.post("/history/evidence", {"action": "read"})
    assert (reply.status, reply.json["total"]) == (202, 4)
    now = at_its_end(daemon)
    assert (now["read"], now["missing"], now["left"]) == (2, 2, 2)
    assert now["summary"] == (
        "The files of 2 pictures were read. "
        "Those of 2 are not there any more, have changed, or cannot be read."
    )
    found = {name: basis(daemon, one) for name, one in names.items()}
    assert found["recipe.png"] == found["signed.jpg"] == "marked"
    assert found["gone.png"] == found["changed.jpg"] == "model"


def test_what_is_no_picture_is_not_waited_for(daemon, tmp_path):
    judged(daemon, tmp_path, {"one.png": png(31)})
    before = daemon.get("/history/evidence").json["left"]
    assert daemon.check(b"%PDF-1.4 no picture").json["check"]["code"] == "unknown_format"
    vars(daemon.service).pop("backfill")
    assert daemon.get("/history/evidence").json["left"] == before


def test_a_run_that_is_stopped_goes_on_where_it_was(daemon, tmp_path):
    n = 3 * AT_ONCE
    judged(daemon, tmp_path, {f"{seed}.png": png(seed) for seed in range(100, 100 + n)})
    left = daemon.get("/history/evidence").json["left"]
    backfill, found, asked = daemon.service.backfill, daemon.service.original, []

    def original(name):
        asked.append(name)
        if len(asked) > AT_ONCE:
            backfill._stop.wait(within(60))
        return found(name)

    backfill._original = original
    daemon.post("/history/evidence", {"action": "read"})
    assert daemon.post("/history/evidence", {"action": "read"}).json["is_running"]
    eventually(lambda: daemon.get("/history/evidence").json["read"])
    stopped = daemon.post("/history/evidence", {"action": "stop"}).json
    assert not stopped["is_running"]
    assert 0 < stopped["read"] < n
    assert stopped["left"] == left - stopped["read"]
    backfill._original = found
    daemon.post("/history/evidence", {"action": "read"})
    again = at_its_end(daemon)
    assert again["total"] == stopped["left"]
    assert again["left"] == again["missing"]


def test_other_programs_may_not_ask_for_it(daemon):
    token = daemon.token("read", "check")
    assert daemon.get("/history/evidence", token=token).status == 403
    assert daemon.post("/history/evidence", {"action": "read"}, token=token).status == 403
    assert daemon.post("/history/evidence", {"action": "fetch"}).status == 422


@pytest.mark.usefixtures("tiny_home")
def test_the_command_reads_without_a_daemon_too(fixtures, tmp_path):
    path = tmp_path / "one.png"
    path.write_bytes((fixtures[0] / "comfy.png").read_bytes())
    row = {"sha256": "0" * 64, "label": "real", "p_fake": 0.1, "path": str(path)}
    (tmp_path / "old.jsonl").write_text(json.dumps(row))
    run("history", "import", tmp_path / "old.jsonl")
    done = run("history", "read-evidence")
    assert "That of 1 is not there any more, has changed, or cannot be read." in done.stdout
    assert json.loads(run("history", "read-evidence", "--json").stdout)["left"] == 1


def test_what_is_said_of_it_fits_its_numbers():
    assert BackfillState(left=5).summary == ""
    running = BackfillState(is_running=True, total=1200, read=300, missing=20)
    assert running.summary == "Reading what files say: 320 of 1,200."
    assert BackfillState(total=1, read=1).summary == "The file of 1 picture was read."
