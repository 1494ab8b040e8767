"""Who may ask: programs with tokens, browsers that are being paired, and the person's own page.

Tokens are in the log, as hashes. What lasts a minute or a day is kept here in memory: a pairing
that waits for the person's word, the one-time links to the page, and who has used one.
"""

import hashlib
import hmac
import os
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from antifake.core import AntifakeError
from antifake.core.errors import UsageError
from antifake.core.files import write_atomically
from antifake.daemon.store import NotThereError, Store, tokens
from antifake.daemon.store.tokens import Grant, Token

from .events import Events

SCOPES = {
    "check": "have pictures checked",
    "read": "see the history: pictures, verdicts, and where the files lie",
    "correct": "say what a picture is",
    "admin": "do everything: settings, folders, forgetting, and letting others in",
}
"""What a token is for, in words that the person agrees to."""

THIS_COMPUTER = "this computer"
"""Name of the token that the command line and the tray have."""
LOCAL_TOKEN_ID = 0
"""Stands for the id of that token, which those programs do not know. No token has it."""

PAIRING_FOR = timedelta(seconds=60)
PAIRINGS_A_MINUTE = 5
LOGIN_FOR = timedelta(seconds=60)
SESSION_FOR = timedelta(hours=12)
MOST_LOGINS = 16
MOST_SESSIONS = 64

Decision = Literal["waiting", "accepted", "rejected", "expired"]


class TooManyError(AntifakeError):
    """Asked more often than a person could mean it."""

    status = 429
    code = "too_many"

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """A program that wants a token and waits for the person to agree."""

    id: str
    name: str
    """As the program calls itself: anybody can claim that."""
    origin: str | None
    """As the browser says: no page can claim another's."""
    scopes: frozenset[str]
    code: str
    """Six digits that both sides show, so that the person agrees to the right one."""
    expires: datetime
    secret: str = field(default="", repr=False)
    """Only whoever asked has it, to come back with."""


@dataclass(frozen=True)
class PairingState:
    """What became of a pairing."""

    state: Decision
    token: str | None = field(default=None, repr=False)
    """The secret of the token; given once."""
    token_id: int | None = None


@dataclass
class _Asked:
    pairing: Pairing
    hash: str
    """Of the secret."""
    decision: Decision = "waiting"
    issued: tuple[Token, str] | None = None
    """Until it is fetched."""


class Access:
    """Usable from many threads."""

    def __init__(self, store: Store, events: Events, clock: Callable[[], datetime]) -> None:
        self._store, self._events, self._clock = store, events, clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._lately: deque[datetime] = deque(maxlen=PAIRINGS_A_MINUTE)
        self._logins: OrderedDict[str, datetime] = OrderedDict()
        self._sessions: OrderedDict[str, datetime] = OrderedDict()
        self._revoked: set[int] = set()
        self._known: dict[str, Token] = {}
        self._origins: frozenset[str] | None = None
        self._origins_lock = threading.Lock()
        # A file is one daemon's; of a server's log another daemon may revoke tokens.
        self._is_alone = store.database.is_sqlite
        self._no_key = secrets.token_bytes()
        self._local_key: bytes | None = None

    # --- Tokens -----------------------------------------------------------------------------

    def who(self, secret: str) -> Token | None:
        """The token whose secret this is, unless it was revoked. Raises StoreError."""
        key = _hash(secret)
        token = self._known.get(key) or self._find(secret)
        if token is None or token.id in self._revoked:
            return None
        now = self._clock()
        if tokens.is_use_worth_noting(token, now):
            # Where it cannot be written down, being asked matters more; so it does
            # where the token was revoked this instant.
            with suppress(AntifakeError), self._store.writing() as session:
                tokens.note_use(session, token.id, now)
            token = replace(token, last_used=now)
        if self._is_alone:
            self._known[key] = token
        return token

    def _find(self, secret: str) -> Token | None:
        with self._store.reading() as session:
            return tokens.find(session, secret)

    def issue(
        self, name: str, scopes: Collection[str], origin: str | None = None
    ) -> tuple[Token, str]:
        """A new token and its secret, which is nowhere else. Raises UsageError, StoreError."""
        grant = Grant(name=_name(name), scopes=_scopes(scopes), origin=origin)
        with self._store.writing(durable=True) as session:
            issued = tokens.issue(session, grant, self._clock())
        self._forget_origins()
        return issued

    def tokens(self) -> list[Token]:
        """Revoked ones, too; oldest first."""
        with self._store.reading() as session:
            return list(tokens.all_tokens(session))

    def origins(self) -> frozenset[str]:
        """Those of browsers that are paired now; every request of an extension needs them."""
        with self._origins_lock:
            found = self._origins
            if found is None:
                all_ = self.tokens()
                found = frozenset(t.origin for t in all_ if t.origin and t.revoked is None)
                self._origins = found if self._is_alone else None
        return found

    def _forget_origins(self) -> None:
        """Call it after the change is stored: whoever reads meanwhile holds the lock."""
        with self._origins_lock:
            self._origins = None

    def revoke(self, token_id: int) -> None:
        """From now on it opens nothing. Raises NotThereError."""
        with self._store.writing(durable=True) as session:
            tokens.revoke(session, token_id, self._clock())
        self._revoked.add(token_id)
        self._forget_origins()

    def is_revoked(self, token_id: int) -> bool:
        """For whoever was let in before and still listens: asked often, so not of the log."""
        return token_id in self._revoked

    def local_secret(self, path: Path) -> str:
        """For the programs on this computer: the secret in a file that only this user can read.

        Kept from run to run; where it is of no use any more, as with another log, there is a new
        one in the file. Raises OSError, StoreError.
        """
        self._known.clear()
        self._forget_origins()
        secret = _private_text(path)
        known = self.who(secret) if secret else None
        if secret is None or known is None or not _is_local(known):
            for token in self.tokens():
                if token.name == THIS_COMPUTER and token.revoked is None:
                    self.revoke(token.id)
            _, secret = self.issue(THIS_COMPUTER, ["admin"])
            write_atomically(path, secret.encode("ascii"))
        self._local_key = _hash(secret).encode("ascii")
        return secret

    def proof(self, token_id: int, nonce: str, port: int) -> str:
        """That whoever listens on `port` knows a token, without telling it: HMAC-SHA256 in hex.

        A program on another port that passes the question on gets a proof of the wrong port.
        Of no token it is as long and means nothing. LOCAL_TOKEN_ID is this computer's token.
        """
        key = self._key_of(token_id) or self._no_key + str(token_id).encode()
        message = f"{nonce}:{port}".encode("utf-8", "surrogatepass")
        return hmac.digest(key, message, "sha256").hex()

    def _key_of(self, token_id: int) -> bytes | None:
        if token_id == LOCAL_TOKEN_ID:
            # Not read from the log: our own programs are to learn from the daemon that the log
            # cannot be read. A revoked one is refused when it is used.
            return self._local_key
        with self._store.reading() as session:
            known = tokens.hash_of(session, token_id)
        return known.encode("ascii") if known else None

    # --- Pairing ----------------------------------------------------------------------------

    def ask(self, name: str, origin: str | None, scopes: Collection[str]) -> Pairing:
        """Ask the person to let a program in. Raises TooManyError, UsageError."""
        name, wanted, now = _name(name), _scopes(scopes), self._clock()
        if name.casefold() == THIS_COMPUTER:
            raise UsageError(f"Only antifake itself is called {THIS_COMPUTER}.")
        if origin is not None and "admin" in wanted:
            raise UsageError("A browser cannot be given everything: leave out admin.")
        secret = secrets.token_urlsafe(32)
        pairing = Pairing(
            id=secrets.token_hex(8),
            name=name,
            origin=origin,
            scopes=wanted,
            code=f"{secrets.randbelow(10**6):06}",
            expires=now + PAIRING_FOR,
        )
        with self._lock:
            self._make_room(now)
            self._asked[pairing.id] = _Asked(pairing, _hash(secret))
            self._lately.append(now)
        self._events.tell("pairing")
        return replace(pairing, secret=secret)

    def _make_room(self, now: datetime) -> None:
        """Raises TooManyError."""
        self._expire(now)
        waiting = [one for one in self._asked.values() if one.decision == "waiting"]
        if waiting:
            raise TooManyError(
                "Another program is waiting to be let in; one at a time.",
                _seconds_until(waiting[0].pairing.expires, now),
            )
        if len(self._lately) == PAIRINGS_A_MINUTE and now - self._lately[0] < PAIRING_FOR:
            raise TooManyError(
                "Too many programs have asked to be let in; try again in a minute.",
                _seconds_until(self._lately[0] + PAIRING_FOR, now),
            )

    def pending(self) -> list[Pairing]:
        """Those that wait for the person's word: none or one."""
        with self._lock:
            self._expire(self._clock())
            return [one.pairing for one in self._asked.values() if one.decision == "waiting"]

    def accept(self, name: str) -> None:
        """Let it in. Raises NotThereError where it does not wait any more."""
        with self._lock:
            asked = self._waiting(name)
            pairing = asked.pairing
            asked.issued = self.issue(pairing.name, pairing.scopes, pairing.origin)
            asked.decision = "accepted"
        self._events.tell("pairing")

    def reject(self, name: str) -> None:
        """Raises NotThereError where it does not wait any more."""
        with self._lock:
            self._waiting(name).decision = "rejected"
        self._events.tell("pairing")

    def poll(self, name: str, secret: str) -> PairingState:
        """How it stands, for whoever asked. Raises NotThereError for anybody else."""
        with self._lock:
            asked = self._of(name, secret)
            issued, asked.issued = asked.issued, None
            if issued is None:
                return PairingState(asked.decision)
            token, token_secret = issued
            return PairingState(asked.decision, token_secret, token.id)

    def give_up(self, name: str, secret: str) -> None:
        """Whoever asked does not want it any more. Raises NotThereError for anybody else."""
        with self._lock:
            self._drop(self._of(name, secret))
        self._events.tell("pairing")

    def _of(self, name: str, secret: str) -> _Asked:
        self._expire(self._clock())
        asked = self._asked.get(name)
        if asked is None or not hmac.compare_digest(asked.hash, _hash(secret)):
            raise NotThereError("There is no such pairing (any more).")
        return asked

    def _waiting(self, name: str) -> _Asked:
        self._expire(self._clock())
        asked = self._asked.get(name)
        if asked is None or asked.decision != "waiting":
            raise NotThereError("This program is not waiting to be let in (any more).")
        return asked

    def _expire(self, now: datetime) -> None:
        """Who waits too long is told so for a minute more, then forgotten."""
        for asked in list(self._asked.values()):
            if asked.decision == "waiting" and now >= asked.pairing.expires:
                asked.decision = "expired"
            if now >= asked.pairing.expires + PAIRING_FOR:
                self._drop(asked)

    def _drop(self, asked: _Asked) -> None:
        """A token that nobody has fetched is nobody's."""
        del self._asked[asked.pairing.id]
        if asked.issued is not None:
            with suppress(AntifakeError):  # its secret is gone in any case
                self.revoke(asked.issued[0].id)

    # --- The person's page ------------------------------------------------------------------

    def mint_login(self) -> str:
        """A code that opens the page once, within a minute."""
        code = secrets.token_urlsafe(32)
        self._keep(self._logins, code, LOGIN_FOR, MOST_LOGINS)
        return code

    def login(self, code: str) -> str | None:
        """The secret of a new session; None: the code is used, old or none of ours."""
        with self._lock:
            until = self._logins.pop(_hash(code), None)
        if until is None or self._clock() >= until:
            return None
        secret = secrets.token_urlsafe(32)
        self._keep(self._sessions, secret, SESSION_FOR, MOST_SESSIONS)
        return secret

    def is_session(self, secret: str) -> bool:
        with self._lock:
            until = self._sessions.get(_hash(secret))
        return until is not None and self._clock() < until

    def logout(self, secret: str) -> None:
        with self._lock:
            self._sessions.pop(_hash(secret), None)

    def _keep(
        self, where: OrderedDict[str, datetime], secret: str, how_long: timedelta, most: int
    ) -> None:
        with self._lock:
            where[_hash(secret)] = self._clock() + how_long
            while len(where) > most:
                where.popitem(last=False)


def _hash(secret: str) -> str:
    """Compared instead of secrets: how long that takes tells nothing of them."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, round((moment - now).total_seconds()))


def _name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise UsageError("A program needs a name of 1 to 80 printable characters.")
    return name


def _scopes(scopes: Collection[str]) -> frozenset[str]:
    if not scopes or not set(scopes) <= SCOPES.keys():
        raise UsageError(f"A token is for some of: {', '.join(SCOPES)}.")
    return frozenset(scopes)


def _is_local(token: Token) -> bool:
    return "admin" in token.scopes and token.origin is None


def _private_text(path: Path) -> str | None:
    """None where there is nothing, or others could have read it, too."""
    try:
        # Windows has other rights, which this number does not show; there the folder has them.
        if os.name != "nt" and path.stat().st_mode & 0o077:
            return None
        return path.read_text("ascii").strip() or None
    except (OSError, UnicodeError):
        return None
