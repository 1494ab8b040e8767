"""Access control: tokens, pairings that the user confirms, one-time links to the page."""

import hashlib
import hmac
import os
import sys
import time
from datetime import timedelta

import pytest
from kit.clock import Clock
from sqlalchemy import Engine, event

from antifake.core.errors import UsageError
from antifake.daemon.elapsed import elapsed_s
from antifake.daemon.service import Events
from antifake.daemon.service.access import (
    LOCAL_TOKEN_ID,
    SCOPES,
    THIS_COMPUTER,
    Access,
    TooManyError,
)
from antifake.daemon.store import NotThereError, open_store
from antifake.daemon.store.tables import TokenRow

ORIGIN = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with open_store(tmp_path / "history.db", clock()) as store:
        yield store


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def access(store, events, clock):
    return Access(store, events, clock, clock.elapsed)


# --- Tokens ---------------------------------------------------------------------------------


def test_a_secret_allows_what_its_token_allows_until_the_token_is_revoked(access):
    token, secret = access.issue("a script", ["check", "read"])
    assert access.authenticate(secret).scopes == {"check", "read"}
    assert access.authenticate(secret + "x") is None
    access.revoke(token.id)
    assert access.authenticate(secret) is None
    assert [one.revoked is not None for one in access.tokens()] == [True]


def test_a_browser_is_known_from_its_first_token_until_the_token_is_revoked(access):
    assert access.origins() == frozenset()
    token, _ = access.issue("Chrome", ["check"], ORIGIN)
    assert access.origins() == {ORIGIN}
    access.revoke(token.id)
    assert access.origins() == frozenset()


def test_looking_up_a_known_browser_again_does_not_query_the_database(access):
    access.issue("Chrome", ["check"], ORIGIN)
    assert access.origins() == {ORIGIN}
    asked = []

    def note(*about) -> None:
        asked.append(about)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert access.origins() == {ORIGIN}
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked == []


@pytest.mark.attack
@pytest.mark.parametrize("secret", ["", "ü" * 40, "\ud800", "a\0b", "x" * 100_000])
def test_nonsense_is_no_valid_secret(access, secret):
    assert access.authenticate(secret) is None


def test_the_last_use_is_noted_at_most_once_a_minute(access, clock):
    _, secret = access.issue("a script", ["read"])
    begin = clock()
    for seconds, noted in [(0, 0), (30, 0), (59, 0), (61, 61), (62, 61)]:
        clock.now = begin + timedelta(seconds=seconds)
        access.authenticate(secret)
        assert access.tokens()[0].last_used == begin + timedelta(seconds=noted)


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("", ["read"]), ("a\nb", ["read"]), ("x" * 81, ["read"]), ("x", []), ("x", ["everything"])],
)
def test_a_token_needs_a_name_and_scopes_that_exist(access, name, scopes):
    with pytest.raises(UsageError):
        access.issue(name, scopes)


def test_every_scope_has_words_for_people():
    assert set(SCOPES) == {"check", "read", "correct", "open", "admin"}
    assert all(SCOPES.values())


@pytest.mark.attack
def test_each_start_has_another_local_token_and_the_former_is_worth_nothing(store, clock, tmp_path):
    path, former = tmp_path / "local.token", None
    for _ in range(5):
        access = Access(store, Events(), clock)
        secret = access.local_secret(path)
        assert path.read_text() == secret
        assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
        assert access.authenticate(secret).scopes == {"admin"}
        assert former is None or access.authenticate(former) is None
        former = secret
    assert [one.name for one in access.tokens()] == [THIS_COMPUTER]
    assert Access(store, Events(), clock).tokens() == []


@pytest.mark.attack
def test_the_local_tokens_that_earlier_versions_stored_are_worth_nothing(access, tmp_path):
    former = [access.issue(THIS_COMPUTER, ["admin"])[1] for _ in range(3)]
    kept = access.issue("Firefox", ["check"])[1]
    access.local_secret(tmp_path / "local.token")
    assert [access.authenticate(one) for one in former] == [None] * 3
    assert access.authenticate(kept).name == "Firefox"
    assert [one.name for one in access.tokens()] == [THIS_COMPUTER, "Firefox"]


def test_the_local_token_can_be_revoked_until_the_next_start(access, store, clock, tmp_path):
    secret = access.local_secret(tmp_path / "local.token")
    access.revoke(LOCAL_TOKEN_ID)
    assert access.authenticate(secret) is None
    assert access.is_revoked(LOCAL_TOKEN_ID)
    assert access.tokens()[0].revoked is not None
    fresh = Access(store, Events(), clock)
    assert fresh.authenticate(fresh.local_secret(tmp_path / "local.token"))


@pytest.mark.attack
def test_what_was_revoked_stays_so_in_an_older_database(access, store, tmp_path):
    """A damaged history is replaced by yesterday's backup."""
    local = access.local_secret(tmp_path / "local.token")
    token, secret = access.issue("Firefox", ["check"])
    access.revoke(token.id)
    with store.writing() as session:
        session.get(TokenRow, token.id).revoked = None
    access.reload()
    assert access.authenticate(secret) is None
    assert access.tokens()[1].revoked is not None
    assert access.authenticate(local).name == THIS_COMPUTER


def test_only_a_program_that_has_the_token_can_make_the_proof(access):
    token, secret = access.issue("extension", ["check"])
    key = hashlib.sha256(secret.encode()).hexdigest().encode()
    expected = hmac.new(key, b"a nonce!:8765", "sha256").hexdigest()
    assert access.proof(token.id, "a nonce!", 8765) == expected
    assert access.proof(token.id, "another!", 8765) != expected
    assert access.proof(token.id, "a nonce!", 8766) != expected


def test_a_revoked_token_still_has_a_proof_and_is_refused_when_it_is_used(access):
    token, secret = access.issue("extension", ["check"])
    before = access.proof(token.id, "a nonce!", 8765)
    access.revoke(token.id)
    assert access.proof(token.id, "a nonce!", 8765) == before
    assert access.authenticate(secret) is None


def test_programs_on_this_computer_get_a_proof_without_knowing_an_id(access, tmp_path):
    assert len(access.proof(LOCAL_TOKEN_ID, "a nonce!", 8765)) == 64
    secret = access.local_secret(tmp_path / "local.token")
    key = hashlib.sha256(secret.encode()).hexdigest().encode()
    expected = hmac.new(key, b"a nonce!:8765", "sha256").hexdigest()
    assert access.proof(LOCAL_TOKEN_ID, "a nonce!", 8765) == expected
    token = access.authenticate(secret)
    assert access.proof(token.id, "a nonce!", 8765) == expected


@pytest.mark.attack
def test_without_a_local_token_nobody_can_guess_its_proof(access):
    guess = hmac.new(b"", b"a nonce!:8765", "sha256").hexdigest()
    assert access.proof(LOCAL_TOKEN_ID, "a nonce!", 8765) != guess
    assert access.authenticate("") is None


def test_the_proof_for_an_unknown_token_looks_the_same(access):
    for unknown in (7, 2**63 - 1):
        first = access.proof(unknown, "a nonce!", 8765)
        assert len(first) == 64
        assert access.proof(unknown, "a nonce!", 8765) == first


# --- Pairing --------------------------------------------------------------------------------


def test_an_accepted_program_gets_its_token_once(access):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    assert len(asked.code) == 6
    assert asked.code.isdigit()
    assert access.poll(asked.id, asked.secret).state == "waiting"
    access.accept(asked.id)
    given = access.poll(asked.id, asked.secret)
    assert given.state == "accepted"
    assert access.authenticate(given.token).origin == ORIGIN
    assert access.origins() == {ORIGIN}
    again = access.poll(asked.id, asked.secret)
    assert (again.state, again.token) == ("accepted", None)


def test_a_rejected_program_gets_nothing(access):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    access.reject(asked.id)
    assert access.poll(asked.id, asked.secret).state == "rejected"
    assert access.tokens() == []
    with pytest.raises(NotThereError):
        access.accept(asked.id)


def test_no_other_program_learns_the_state_of_a_pairing(access):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    access.accept(asked.id)
    for name, secret in [(asked.id, "guessed"), (asked.id, ""), ("nothing", asked.secret)]:
        with pytest.raises(NotThereError):
            access.poll(name, secret)


@pytest.mark.attack
def test_only_the_program_that_asked_gets_the_secret_of_a_pairing(access):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    (shown,) = access.pending()
    assert shown.secret == ""
    assert asked.secret not in repr(asked)
    access.accept(asked.id)
    state = access.poll(asked.id, asked.secret)
    assert state.token not in repr(state)


def test_a_pairing_expires_after_a_minute(access, clock):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    clock.go(seconds=60)
    assert access.pending() == []
    assert access.poll(asked.id, asked.secret).state == "expired"
    with pytest.raises(NotThereError):
        access.accept(asked.id)
    clock.go(seconds=60)
    with pytest.raises(NotThereError):
        access.poll(asked.id, asked.secret)


def test_a_token_that_was_not_fetched_is_revoked(access, clock):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    access.accept(asked.id)
    assert access.tokens()[0].revoked is None
    clock.go(seconds=121)
    assert access.pending() == []
    assert access.tokens()[0].revoked is not None


def test_pairings_are_limited_to_one_at_a_time_and_five_a_minute(access, clock):
    first = access.ask("one", None, ["check"])
    with pytest.raises(TooManyError) as refused:
        access.ask("two", None, ["check"])
    assert 0 < refused.value.retry_after_s <= 60
    access.give_up(first.id, first.secret)
    for _ in range(4):
        asked = access.ask("again", None, ["check"])
        access.reject(asked.id)
    with pytest.raises(TooManyError):
        access.ask("sixth", None, ["check"])
    clock.go(seconds=61)
    access.ask("sixth", None, ["check"])


def test_a_browser_cannot_ask_for_everything(access):
    with pytest.raises(UsageError):
        access.ask("Firefox", ORIGIN, ["check", "admin"])
    assert access.ask("a script", None, ["admin"]).scopes == {"admin"}


def test_every_step_of_a_pairing_is_an_event(access, events):
    before = events.last
    asked = access.ask("Firefox", ORIGIN, ["check"])
    access.accept(asked.id)
    assert [event.kind for event in events.after(before)] == ["pairing", "pairing"]
    assert asked.secret not in str(events.after(before))


# --- The page -------------------------------------------------------------------------------


def test_a_link_opens_the_page_once(access):
    code = access.mint_login()
    session = access.login(code)
    assert access.is_session(session)
    assert access.login(code) is None
    assert not access.is_session(code)


def test_a_link_lasts_a_minute_and_a_session_half_a_day(access, clock):
    code = access.mint_login()
    clock.go(seconds=60)
    assert access.login(code) is None
    session = access.login(access.mint_login())
    clock.go(hours=11, minutes=59)
    assert access.is_session(session)
    clock.go(minutes=1)
    assert not access.is_session(session)


def test_leaving_ends_the_session(access):
    session = access.login(access.mint_login())
    access.logout(session)
    access.logout("none of ours")
    assert not access.is_session(session)


def test_unused_links_do_not_pile_up(access):
    codes = [access.mint_login() for _ in range(17)]
    assert access.login(codes[0]) is None
    assert access.login(codes[1]) is not None


# --- The clock is set -----------------------------------------------------------------------

SET_BY = [timedelta(days=-1), timedelta(days=365), timedelta(hours=-2), timedelta(minutes=2)]


@pytest.mark.attack
@pytest.mark.parametrize("by", SET_BY, ids=str)
def test_pairing_works_after_the_clock_was_set(access, clock, by):
    for _ in range(5):
        access.reject(access.ask("again", None, ["check"]).id)
    clock.set(by)
    with pytest.raises(TooManyError) as refused:
        access.ask("sixth", None, ["check"])
    assert 0 < refused.value.retry_after_s <= 60
    clock.go(seconds=61)
    asked = access.ask("sixth", None, ["check"])
    clock.set(by)
    access.accept(asked.id)
    given = access.poll(asked.id, asked.secret)
    assert access.authenticate(given.token).name == "sixth"


@pytest.mark.attack
@pytest.mark.parametrize("by", SET_BY, ids=str)
def test_what_lasts_a_minute_or_half_a_day_does_so_after_the_clock_was_set(access, clock, by):
    asked = access.ask("Firefox", ORIGIN, ["check"])
    late, code = access.mint_login(), access.mint_login()
    clock.set(by)
    clock.go(seconds=59)
    assert access.poll(asked.id, asked.secret).state == "waiting"
    session = access.login(code)
    clock.go(seconds=1)
    assert access.poll(asked.id, asked.secret).state == "expired"
    assert access.login(late) is None
    clock.set(by)
    clock.go(hours=11, minutes=59, seconds=58)
    assert access.is_session(session)
    clock.go(seconds=1)
    assert not access.is_session(session)


@pytest.mark.attack
@pytest.mark.parametrize("by", SET_BY, ids=str)
def test_a_token_is_valid_until_it_is_revoked_whatever_its_dates_say(access, clock, by):
    token, secret = access.issue("a script", ["read"])
    clock.set(by)
    assert access.authenticate(secret).id == token.id
    access.revoke(token.id)
    clock.set(-2 * by)
    assert access.authenticate(secret) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the name of this clock is Linux's")
def test_the_clock_of_sessions_runs_while_the_computer_sleeps():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= elapsed_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
