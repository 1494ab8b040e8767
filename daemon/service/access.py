"""Access control: tokens for programs, pairing of browsers, and sessions of the user's pages.

Tokens are stored in the database, as hashes. Pairings, one-time login links and sessions are
short-lived and kept in memory.
"""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from antifake.core import AntifakeError
from antifake.core.errors import UsageError
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.daemon.elapsed import elapsed_s
from antifake.daemon.store import ANSWER_S, NotThereError, Store, tokens
from antifake.daemon.store.tokens import PAGES, Grant, Token

from .confirmations import Confirmations
from .events import Events
from .names import is_reserved, program_name
from .remembered import RememberedBrowsers

SCOPES = {
    "check": _("have pictures checked"),
    "read": _("see the history: pictures, verdicts, and where the files are"),
    "correct": _("say what a picture is"),
    "open": _("open the history in your browser, where everything can be changed"),
    "admin": _("do everything: settings, folders, forgetting, and letting others in"),
}
"""The scopes of tokens, as described to the user who grants them."""

THIS_COMPUTER = "this computer"
"""Name of the token that the command line and the tray use."""
LOCAL_TOKEN_ID = 0
"""Used instead of the id of that token, which those programs do not know. No token has this id."""

PAIRING_FOR_S = 60.0
PAIRINGS_A_MINUTE = 5
LOGIN_FOR_S = 60.0
SESSION_FOR_S = 12 * 3600.0
MOST_LOGINS = 16
MOST_SESSIONS = 64

_T = TypeVar("_T")
Decision = Literal["waiting", "accepted", "rejected", "expired"]


class TooManyError(AntifakeError):
    """Too many requests to pair."""

    status = 429
    code = "too_many"

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """A program's request for a token, which the user must accept."""

    id: str
    name: str
    """Chosen by the program, so it proves nothing."""
    origin: str | None
    """Set by the browser, so a page cannot pretend to be another."""
    scopes: frozenset[str]
    code: str
    """Six digits that both sides show, so that the user accepts the right program."""
    expires: datetime
    """For people. What counts is the time that has elapsed."""
    secret: str = field(default="", repr=False)
    """Known only to the requesting program, which polls with it."""


@dataclass(frozen=True)
class PairingState:
    """The state of a pairing, as its program sees it."""

    state: Decision
    token: str | None = field(default=None, repr=False)
    """The secret of the token. Only the first poll after the acceptance returns it."""
    token_id: int | None = None


@dataclass
class _PendingPairing:
    pairing: Pairing
    hash: str
    """The hash of the secret."""
    until_s: float
    decision: Decision = "waiting"
    issued: tuple[Token, str] | None = None
    """The token and its secret, until the program has fetched them."""


@dataclass
class _Session:
    until_s: float
    browser: int | None = None
    """The id of the token of a remembered browser. The session ends when that is revoked."""


class Access:
    """Thread-safe. `clock` is the time of day, which people see; what ends does so by `elapsed`."""

    def __init__(
        self,
        store: Store,
        events: Events,
        clock: Callable[[], datetime],
        elapsed: Callable[[], float] = elapsed_s,
    ) -> None:
        self._store, self._events, self._clock, self._elapsed = store, events, clock, elapsed
        self._lock = threading.Lock()
        self._pairings: OrderedDict[str, _PendingPairing] = OrderedDict()
        self._recent_requests: deque[float] = deque(maxlen=PAIRINGS_A_MINUTE)
        self._logins: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self.browsers = RememberedBrowsers(store, clock, elapsed)
        self.confirmations = Confirmations(elapsed)
        self._revoked: set[int] = set()
        self._token_cache: dict[str, Token] = {}
        self._origins: frozenset[str] | None = None
        self._origins_lock = threading.Lock()
        self._random_key = secrets.token_bytes()
        self._page_secret = secrets.token_bytes(32)
        self._local: Token | None = None
        self._local_hash = ""

    # --- Tokens -----------------------------------------------------------------------------

    def authenticate(self, secret: str) -> Token | None:
        """Returns the token of a secret, or None if it is unknown or revoked. Raises StoreError.

        The token of a remembered browser is not one for programs, so it is unknown here.
        """
        token = self.known(secret)
        if token is None:
            return None
        now = self._clock()
        if token.id == LOCAL_TOKEN_ID:
            self._local = replace(token, last_used=now)
            return self._local
        if tokens.is_use_worth_noting(token, now):
            # If this cannot be stored, for example because the token was just revoked or the disk
            # is full, the request is still answered. It waits for nobody who writes, either.
            with suppress(AntifakeError), self._store.writing(within_s=ANSWER_S) as session:
                tokens.note_use(session, token.id, now)
            token = replace(token, last_used=now)
        self._token_cache[_hash(secret)] = token
        return token

    def known(self, secret: str) -> Token | None:
        """Does the same and does not note the use, so it only reads. Raises StoreError."""
        key = _hash(secret)
        if hmac.compare_digest(key, self._local_hash):
            token = self._local
        else:
            token = self._token_cache.get(key) or self._find(secret)
        if token is None or token.id in self._revoked or PAGES in token.scopes:
            return None
        return token

    def _find(self, secret: str) -> Token | None:
        with self._store.reading() as session:
            return tokens.find(session, secret)

    def issue(
        self, name: str, scopes: Collection[str], origin: str | None = None
    ) -> tuple[Token, str]:
        """Creates a token. Returns it and its secret, which is not stored.

        Raises UsageError, StoreError.
        """
        grant = Grant(name=program_name(name), scopes=_valid_scopes(scopes), origin=origin)
        with self._store.writing(durable=True) as session:
            issued = tokens.issue(session, grant, self._clock())
        self._revoked.discard(issued[0].id)  # of a database that was lost
        self._clear_origins()
        return issued

    def tokens(self) -> list[Token]:
        """Returns all tokens, also revoked ones, oldest first."""
        with self._store.reading() as session:
            stored = list(tokens.all_tokens(session))
        return [self._local, *stored] if self._local else stored

    def token(self, token_id: int | None) -> Token:
        """Returns a token by its id. Raises NotThereError."""
        for found in self.tokens():
            if found.id == token_id:
                return found
        raise NotThereError(_("There is no such token."))

    def origins(self) -> frozenset[str]:
        """Returns the origins of all valid tokens that are not for our own pages.

        Cached: browser requests need them often.
        """
        with self._origins_lock:
            found = self._origins
            if found is None:
                all_ = self.tokens()
                found = frozenset(
                    t.origin
                    for t in all_
                    if t.origin and t.revoked is None and PAGES not in t.scopes
                )
                self._origins = found
        return found

    def _clear_origins(self) -> None:
        """Clears the cache. Call it after a change is stored: readers hold the lock meanwhile."""
        with self._origins_lock:
            self._origins = None

    def revoke(self, token_id: int) -> None:
        """Makes a token invalid from now on. Raises NotThereError."""
        if token_id == LOCAL_TOKEN_ID and self._local is not None:
            self._local = replace(self._local, revoked=self._clock())
        else:
            with self._store.writing(durable=True) as session:
                tokens.revoke(session, token_id, self._clock())
        self._revoked.add(token_id)
        self._clear_origins()

    def revoke_all(self) -> None:
        """Revokes all tokens but that of this computer's programs, and ends all sessions."""
        with self._lock:
            self._logins.clear()
            self._sessions.clear()
        for token in self.tokens():
            if token.revoked is None and token.name != THIS_COMPUTER:
                self.revoke(token.id)

    def is_revoked(self, token_id: int) -> bool:
        """Returns whether a token was revoked during this run.

        Open event streams call it often, so it does not read the database.
        """
        return token_id in self._revoked

    def local_secret(self, path: Path) -> str:
        """Returns a new secret of this computer's programs, and writes it to a file of the user's.

        It is valid until the daemon ends. It is in no database, so it is valid also while that
        cannot be read. Raises OSError, StoreError.
        """
        secret = secrets.token_urlsafe(32)
        write_atomically(path, secret.encode("ascii"))
        self._local = Token(
            id=LOCAL_TOKEN_ID,
            name=THIS_COMPUTER,
            scopes=frozenset({"admin"}),
            created=self._clock(),
            last_used=None,
            revoked=None,
        )
        self._local_hash = _hash(secret)
        # Earlier versions stored this token, and it was valid from run to run.
        if any(one.id != LOCAL_TOKEN_ID and one.name == THIS_COMPUTER for one in self.tokens()):
            with self._store.writing(durable=True) as session:
                tokens.drop_named(session, THIS_COMPUTER)
        return secret

    def reload(self) -> None:
        """Use the tokens of a database that has just replaced the former. Raises StoreError.

        What was revoked stays so: the database may be older than that.
        """
        self._token_cache.clear()
        self._clear_origins()
        for token in self.tokens():
            if token.id in self._revoked and token.revoked is None:
                self.revoke(token.id)

    def proof(self, token_id: int, nonce: str, port: int) -> str:
        """Returns an HMAC-SHA256 in hex, which proves that we know a token without revealing it.

        The proof includes our port. So a program on another port that relays the request gets a
        proof that its client rejects. For an unknown token, the result looks the same but is
        random. LOCAL_TOKEN_ID is this computer's token. A revoked token has a proof, so that its
        client dares to use it and is told that it was revoked.
        """
        key = self._key_of(token_id) or self._random_key + str(token_id).encode()
        message = f"{nonce}:{port}".encode("utf-8", "surrogatepass")
        return hmac.digest(key, message, "sha256").hex()

    def _key_of(self, token_id: int) -> bytes | None:
        if token_id == LOCAL_TOKEN_ID:
            # Not read from the database: if that fails, our own programs must still be able to
            # reach the daemon, which tells them so. A revoked token is refused when it is used.
            return self._local_hash.encode("ascii") or None
        with self._store.reading() as session:
            known = tokens.hash_of(session, token_id)
        return known.encode("ascii") if known else None

    # --- Pairing ----------------------------------------------------------------------------

    def ask(self, name: str, origin: str | None, scopes: Collection[str]) -> Pairing:
        """Asks the user to let a program in. Raises TooManyError, UsageError."""
        name, wanted, now = program_name(name), _valid_scopes(scopes), self._elapsed()
        if is_reserved(name):
            raise UsageError(_("By this name, a program could be taken for antifake itself."))
        if origin is not None and "admin" in wanted:
            raise UsageError(_("A browser cannot be given everything: leave out admin."))
        secret = secrets.token_urlsafe(32)
        pairing = Pairing(
            id=secrets.token_hex(8),
            name=name,
            origin=origin,
            scopes=wanted,
            code=f"{secrets.randbelow(10**6):06}",
            expires=self._clock() + timedelta(seconds=PAIRING_FOR_S),
        )
        with self._lock:
            self._check_rate(now)
            self._pairings[pairing.id] = _PendingPairing(
                pairing, _hash(secret), now + PAIRING_FOR_S
            )
            self._recent_requests.append(now)
        self._events.tell("pairing")
        return replace(pairing, secret=secret)

    def _check_rate(self, now: float) -> None:
        """Raises TooManyError if a program is waiting or too many have asked."""
        self._expire(now)
        waiting = [one for one in self._pairings.values() if one.decision == "waiting"]
        if waiting:
            raise TooManyError(
                _("Another program is waiting to be let in; one at a time."),
                _seconds_until(waiting[0].until_s, now),
            )
        if (
            len(self._recent_requests) == PAIRINGS_A_MINUTE
            and now - self._recent_requests[0] < PAIRING_FOR_S
        ):
            raise TooManyError(
                _("Too many programs have asked to be let in; try again in a minute."),
                _seconds_until(self._recent_requests[0] + PAIRING_FOR_S, now),
            )

    def pending(self) -> list[Pairing]:
        """Returns those that wait for the person to decide: none or one."""
        with self._lock:
            self._expire(self._elapsed())
            return [one.pairing for one in self._pairings.values() if one.decision == "waiting"]

    def waiting(self, name: str) -> Pairing:
        """Returns a pairing by its id. Raises NotThereError if it is no longer waiting."""
        with self._lock:
            return self._waiting_pairing(name).pairing

    def accept(self, name: str) -> None:
        """Lets a program in. Raises NotThereError if it is no longer waiting."""
        with self._lock:
            pending = self._waiting_pairing(name)
            pairing = pending.pairing
            pending.issued = self.issue(pairing.name, pairing.scopes, pairing.origin)
            pending.decision = "accepted"
        self._events.tell("pairing")

    def reject(self, name: str) -> None:
        """Turns a program away. Raises NotThereError if it is no longer waiting."""
        with self._lock:
            self._waiting_pairing(name).decision = "rejected"
        self._events.tell("pairing")

    def poll(self, name: str, secret: str) -> PairingState:
        """Returns the state of a pairing. Raises NotThereError if the secret is wrong."""
        with self._lock:
            pending = self._pairing_of(name, secret)
            issued, pending.issued = pending.issued, None
            if issued is None:
                return PairingState(pending.decision)
            token, token_secret = issued
            return PairingState(pending.decision, token_secret, token.id)

    def give_up(self, name: str, secret: str) -> None:
        """Cancels a pairing for its program. Raises NotThereError if the secret is wrong."""
        with self._lock:
            self._drop(self._pairing_of(name, secret))
        self._events.tell("pairing")

    def _pairing_of(self, name: str, secret: str) -> _PendingPairing:
        self._expire(self._elapsed())
        pending = self._pairings.get(name)
        if pending is None or not hmac.compare_digest(pending.hash, _hash(secret)):
            raise NotThereError(_("There is no such pairing."))
        return pending

    def _waiting_pairing(self, name: str) -> _PendingPairing:
        self._expire(self._elapsed())
        pending = self._pairings.get(name)
        if pending is None or pending.decision != "waiting":
            raise NotThereError(_("This program is not waiting to be let in."))
        return pending

    def _expire(self, now: float) -> None:
        """Marks old pairings as expired. A minute later it deletes them."""
        for pending in list(self._pairings.values()):
            if pending.decision == "waiting" and now >= pending.until_s:
                pending.decision = "expired"
            if now >= pending.until_s + PAIRING_FOR_S:
                self._drop(pending)

    def _drop(self, pending: _PendingPairing) -> None:
        """Deletes a pairing, and revokes its token if the program has not fetched it."""
        del self._pairings[pending.pairing.id]
        if pending.issued is not None:
            with suppress(AntifakeError):  # its secret is lost, so it is unusable anyway
                self.revoke(pending.issued[0].id)

    # --- The user's pages --------------------------------------------------------------------

    def mint_login(self) -> str:
        """Returns a code that opens the pages once, within a minute."""
        code = secrets.token_urlsafe(32)
        self._add_temporary(self._logins, code, self._elapsed() + LOGIN_FOR_S, MOST_LOGINS)
        return code

    def login(self, code: str) -> str | None:
        """Returns the secret of a new session. None if the code is used, expired or unknown."""
        with self._lock:
            until = self._logins.pop(_hash(code), None)
        if until is None or self._elapsed() >= until:
            return None
        return self.begin_session()

    def begin_session(self, browser: int | None = None) -> str:
        """Returns the secret of a new session. `browser` is the id of the token of a browser."""
        secret = secrets.token_urlsafe(32)
        session = _Session(self._elapsed() + SESSION_FOR_S, browser)
        self._add_temporary(self._sessions, secret, session, MOST_SESSIONS)
        return secret

    def page_key(self, secret: str) -> str:
        """Returns what a page of this session sends with each change, in hex.

        Unlike the cookie, browsers keep it for one host name and port: a program on another port,
        which is sent the cookie too, does not get it.
        """
        return hmac.digest(
            self._page_secret, secret.encode("utf-8", "surrogatepass"), "sha256"
        ).hex()

    def tie(self, secret: str, browser: int) -> None:
        """Make a session end when the token of its browser, which is remembered, is revoked."""
        session = self._session(secret)
        if session is not None:
            session.browser = browser

    def is_session(self, secret: str) -> bool:
        return self._session(secret) is not None

    def browser_of(self, secret: str) -> int | None:
        """Returns the id of the token of a session's browser. None if that is not remembered."""
        session = self._session(secret)
        return session.browser if session else None

    def logout(self, secret: str) -> None:
        with self._lock:
            self._sessions.pop(_hash(secret), None)

    def _session(self, secret: str) -> _Session | None:
        """Returns the session if it has not ended."""
        with self._lock:
            session = self._sessions.get(_hash(secret))
        if session is None or session.browser in self._revoked:
            return None
        if self._elapsed() >= session.until_s:
            return None
        return session

    def _add_temporary(
        self, where: OrderedDict[str, _T], secret: str, value: _T, most: int
    ) -> None:
        with self._lock:
            where[_hash(secret)] = value
            while len(where) > most:
                where.popitem(last=False)


def _hash(secret: str) -> str:
    """Hashes are compared instead of secrets, so that the timing reveals nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _seconds_until(moment: float, now: float) -> int:
    return max(1, round(moment - now))


def _valid_scopes(scopes: Collection[str]) -> frozenset[str]:
    if not scopes or not set(scopes) <= SCOPES.keys():
        raise UsageError(_("A token is for some of: {scopes}.", scopes=", ".join(SCOPES)))
    return frozenset(scopes)
