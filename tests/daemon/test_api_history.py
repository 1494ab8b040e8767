"""The history, the settings, the folders and the state, over HTTP."""

import hashlib
import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.config import load, names


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        for seed in range(6):
            reply = daemon.check(
                png(seed), path=f"/home/x/Pictures/Holiday {seed}.png", source="tray"
            )
            assert reply.status == 201
        assert daemon.check(b"broken").status == 422
        yield daemon


def checks(daemon, query: str = ""):
    reply = daemon.get(f"/checks?limit=100&{query}")
    assert reply.status == 200
    return reply.json["checks"]


# --- The history ----------------------------------------------------------------------------


def test_the_history_comes_page_by_page_newest_first(daemon):
    everything = checks(daemon)
    found, cursor = [], ""
    while cursor is not None:
        page = daemon.get(f"/checks?limit=2{cursor and '&cursor=' + cursor}").json
        found += page["checks"]
        cursor = page["next"]
    assert found == everything
    assert [one["id"] for one in found] == sorted((one["id"] for one in found), reverse=True)


def test_filters_narrow_the_history_down(daemon):
    everything = checks(daemon)
    failed = checks(daemon, "label=failed")
    assert [one["code"] for one in failed] == ["unknown_format"]
    assert len(checks(daemon, "source=tray")) == 6
    assert len(checks(daemon, "q=HOLIDAY+3")) == 1
    assert len(checks(daemon, "folder=/home/x")) == 6
    assert checks(daemon, "folder=/home/y") == []
    model = quote(everything[-1]["model"])
    assert len(checks(daemon, f"model={model}")) == len(everything)
    assert checks(daemon, "corrected=true") == []
    assert len(checks(daemon, "corrected=false")) == len(everything)
    middle = quote(everything[3]["at"])
    assert len(checks(daemon, f"since={middle}")) == 4
    assert len(checks(daemon, f"until={middle}")) == len(everything) - 4


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=1e9",
        "label=maybe",
        "source=fax",
        "since=x",
        "until=2026-13-01",
        "corrected=perhaps",
        "limit=99999999999999999999999",
        "q=" + "x" * 201,
        "q=%00",
        "folder=a%00b",
        "cursor=",
    ],
)
def test_an_invalid_filter_is_refused(daemon, query):
    reply = daemon.get(f"/checks?{query}")
    assert (reply.status, reply.code) == (422, "invalid")
    assert reply.json["errors"][0]["where"].startswith("query.")


@pytest.mark.parametrize("cursor", ["nothing", "zzzzzzzzzzzzz", "%2e%2e", "0" * 14, "'--"])
def test_an_unknown_cursor_is_not_found(daemon, cursor):
    assert daemon.get(f"/checks?cursor={cursor}").status == 404


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00%2b14:00"]
)
def test_the_earliest_and_latest_times_are_accepted(daemon, moment):
    assert daemon.get(f"/checks?since={moment}").status == 200
    assert daemon.get(f"/checks?until={moment}").status == 200


def test_checks_are_counted_day_by_day(daemon):
    found = daemon.get("/stats?days=3").json
    days = [date.fromisoformat(day.pop("day")) for day in found["days"]]
    assert [days[-1] - day for day in days] == [timedelta(days=n) for n in (2, 1, 0)]
    # Not only today's, because midnight may have passed.
    local = [datetime.fromisoformat(one["at"]).astimezone().date() for one in checks(daemon)]
    assert [sum(day.values()) for day in found["days"]] == [local.count(day) for day in days]
    assert found["total"]["failed"] == 1
    assert sum(found["total"].values()) == len(local)
    assert daemon.get("/stats?days=0").status == 422


@pytest.mark.parametrize(("form", "kind"), [("csv", "text/csv"), ("jsonl", "application/x-ndjson")])
def test_importing_an_export_again_adds_nothing(daemon, form, kind):
    reply = daemon.get(f"/history/export?form={form}")
    assert reply.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert f"antifake-history.{form}" in reply.headers["Content-Disposition"]
    back = daemon.ask("POST", f"/history/import?form={form}", reply.body, Content_Type=kind)
    assert back.json == {"added": 0, "known": len(checks(daemon)), "n_refused": 0, "refused": []}
    some = daemon.get(f"/history/export?form={form}&label=failed").body
    assert len(some) < len(reply.body)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xff\xfe", 400), (b"a,b\n1,2\n", 400), (b"", 400), (b"label,sha256\nx,y\n", 200)],
)
def test_a_file_that_is_no_history_is_not_imported(daemon, body, status):
    before = checks(daemon)
    reply = daemon.ask("POST", "/history/import", body, Content_Type="text/csv")
    assert reply.status == status
    assert status == 400 or len(reply.json["refused"]) == 1
    assert checks(daemon) == before


# --- State ----------------------------------------------------------------------------------


def test_the_state_tells_how_the_daemon_is(daemon):
    eventually(lambda: not daemon.service.status.is_busy)
    state = daemon.get("/state").json
    assert state["mode"] == "ready"
    assert state["model"]["phase"] == "ready"
    assert state["waiting"] == {"person": 0, "folder": 0, "batch": 0}
    daemon.service.notice("Something you should know.")
    assert daemon.get("/state").json["notices"] == ["Something you should know."]
    assert daemon.get("/state").json["mode"] == "attention"
    assert daemon.post("/notices:dismiss").status == 204
    assert daemon.get("/state").json["notices"] == []


def test_health_contains_no_data_of_the_user(daemon):
    reply = daemon.get("/health", token=None)
    assert reply.json.keys() == {"service", "api", "version", "ready"}


def test_a_request_to_stop_reaches_the_program(daemon):
    assert daemon.post("/daemon:stop", token=daemon.token("read")).status == 403
    assert not daemon.stopped.is_set()
    assert daemon.post("/daemon:stop").status == 202
    assert daemon.stopped.is_set()


def contents(daemon) -> str:
    """Returns the whole database, except for the last use of tokens."""
    with sqlite3.connect(daemon.places.database) as log:
        lines = [line for line in log.iterdump() if "INTO tokens" not in line.replace('"', "")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_reading_changes_nothing(daemon):
    """Sends every GET twice, and HEAD and OPTIONS."""
    name = checks(daemon)[0]["id"]
    before, settings = contents(daemon), daemon.places.config.read_bytes()
    paths = [
        path.removeprefix("/api/v1").replace("{name}", name)
        for path, methods in daemon.get("/openapi.json").json["paths"].items()
        if "get" in methods and path != "/api/v1/events"
    ]
    assert len(paths) > 10
    for path in [*paths, "/events?wait=0", "///", "///review", "///nothing"] * 2:
        for method in ("GET", "HEAD", "OPTIONS"):
            accept = "application/json"
            assert daemon.ask(method, path, Accept=accept).status < 500
    assert contents(daemon) == before
    assert daemon.places.config.read_bytes() == settings


# --- Settings -------------------------------------------------------------------------------


def test_settings_are_read_and_changed_by_name(daemon):
    assert daemon.get("/settings").json.keys() == set(names())
    changed = daemon.send("PATCH", "/settings", {"history.keep_days": 30, "worker.queue": 99}).json
    assert (changed["history.keep_days"], changed["worker.queue"]) == (30, 99)
    assert load(daemon.places.config).worker.queue == 99
    again = daemon.send("PATCH", "/settings", {"history.keep_days": None, "worker.queue": None})
    assert (again.json["history.keep_days"], again.json["worker.queue"]) == (0, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"server.prot": 1},
        {"server.port": 80},
        {"server.port": "x"},
        {"server.port": True},
        {"server.port": [None]},
        {"worker.model": "a\0b"},
        {"worker.model": {"a": None}},
        {"history.pages": "some"},
        {"watch.folders": [{"path": "relative"}]},
        {"server": {}},
        {"watch.folders": [{"path": "/x", "exclud": []}]},
        {"watch.paused_until": "tomorrow"},
        {"watch.paused_until": "2026-01-01T00:00:00"},
        {"": 1},
        {"watch.quiet_s": 1e300},
        {"worker.model": [[[]]]},
        {"a" * 5000: 1},
        {"server.port": 9223372036854775807},
        {"watch.folders": {"path": "/x"}},
        {"watch.folders": "x"},
        {"worker.model": "\ud800"},
    ],
)
def test_an_invalid_setting_changes_nothing_not_even_the_others_sent_with_it(daemon, change):
    before = daemon.places.config.read_bytes()
    reply = daemon.send("PATCH", "/settings", {"history.keep_days": 7} | change)
    assert reply.status == 422
    assert reply.code in ("bad_setting", "invalid")
    assert daemon.places.config.read_bytes() == before
    assert daemon.get("/settings").json["history.keep_days"] == 0


def test_folders_and_times_come_back_as_they_were_sent(daemon, tmp_path):
    folder = {
        "path": str(tmp_path),
        "include": ["*.png"],
        "exclude": [],
        "recursive": False,
        "polling": True,
    }
    wanted = {"watch.folders": [folder], "watch.paused_until": "2030-01-02T03:04:05+00:00"}
    changed = daemon.send("PATCH", "/settings", wanted).json
    assert changed["watch.folders"] == [folder]
    assert changed["watch.paused_until"] == "2030-01-02T03:04:05.000+00:00"
    daemon.send("PATCH", "/settings", dict.fromkeys(wanted))


def test_the_settings_file_is_read_again_on_request(daemon):
    before = daemon.places.config.read_text()
    daemon.places.config.write_text(f"[server]\nport = {daemon.port}\n[worker]\nqueue = 77\n")
    assert daemon.post("/settings:reload").json["worker.queue"] == 77
    daemon.places.config.write_text("not TOML")
    assert daemon.post("/settings:reload").status == 422
    assert daemon.get("/settings").json["worker.queue"] == 77
    daemon.places.config.write_text(before)
    daemon.post("/settings:reload")


def test_a_caller_that_may_only_read_does_not_see_a_database_password(daemon):
    url = "postgresql+psycopg://me:geheim@db.example/antifake"
    daemon.send("PATCH", "/settings", {"history.database": url})
    shown = daemon.get("/settings", token=daemon.token("read"))
    assert b"geheim" not in shown.body
    assert shown.json["history.database"] == "postgresql+psycopg://me:***@db.example/antifake"
    assert daemon.get("/settings").json["history.database"] == url
    daemon.send("PATCH", "/settings", {"history.database": None})


# --- Folders --------------------------------------------------------------------------------


def test_a_folder_is_added_and_removed(daemon, tmp_path):
    reply = daemon.post("/watches", {"path": str(tmp_path)})
    assert reply.status == 201
    (tmp_path / "found.png").write_bytes(png(500))
    (folder,) = daemon.get("/watches").json["folders"]
    assert folder["path"] == str(tmp_path)
    assert folder.keys() == {
        "path",
        "include",
        "exclude",
        "recursive",
        "polling",
        "problem",
        "pending",
        "existing",
    }
    eventually(lambda: checks(daemon, "source=watch"))
    again = daemon.post("/watches", {"path": str(tmp_path)})
    assert (again.status, again.code) == (409, "watched_already")
    more = daemon.post("/watches", {"path": str(tmp_path), "exclude": ["*.{png,gif}"]})
    assert more.status == 200
    (tmp_path / "left out.png").write_bytes(png(501))
    (tmp_path / "taken.jpg_large").write_bytes(png(502))
    eventually(lambda: "taken.jpg_large" in {one["name"] for one in checks(daemon)})
    assert "left out.png" not in {one["name"] for one in checks(daemon)}
    assert daemon.post("/watches:rescan").status == 202
    place = f"/watches?path={quote(str(tmp_path))}"
    assert daemon.ask("DELETE", place).status == 204
    assert daemon.ask("DELETE", place).status == 404
    eventually(lambda: daemon.get("/watches").json["folders"] == [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": ""},
        {"path": "relative"},
        {"path": "/x\0y"},
        {"path": 1},
        {"path": "/x", "include": ["../*"]},
        {"path": "/x", "include": ["/abs"]},
        {"path": "/x", "exclude": ["["]},
        {"path": "/x", "exclud": []},
        {"path": "\ud800"},
        {"path": "http://example.org/x"},
        {"path": "\\\\host\\share"},
        {"path": "/" + "x" * 5000},
    ],
)
def test_a_folder_that_cannot_be_watched_is_refused(daemon, body):
    reply = daemon.post("/watches", body)
    assert reply.status == 422
    assert daemon.get("/settings").json["watch.folders"] == []


def test_the_home_of_an_unknown_user_is_refused(daemon):
    assert daemon.post("/watches", {"path": "~nobody-of-that-name/x"}).status == 422
    assert daemon.ask("DELETE", "/watches?path=~nobody-of-that-name").status in (404, 422)


def test_watching_pauses_for_a_while(daemon):
    paused = daemon.post("/watches:pause", {"minutes": 30}).json["paused_until"]
    left = datetime.fromisoformat(paused) - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert daemon.get("/state").json["mode"] == "paused"
    assert daemon.get("/watches").json["paused_until"] == paused
    assert daemon.post("/watches:pause", {"minutes": None}).json == {"paused_until": None}
    assert daemon.get("/state").json["paused_until"] is None
    for minutes in (0, -1, 1e9, "x", [], True):
        assert daemon.post("/watches:pause", {"minutes": minutes}).status == 422, minutes
    assert daemon.get("/state").json["paused_until"] is None
    assert (
        daemon.ask(
            "POST",
            "/watches:pause",
            json.dumps({"minutes": 1}),
            token=daemon.token("read"),
            Content_Type="application/json",
        ).status
        == 403
    )
