"""Browsers that the user lets be remembered: they may begin a session of the pages without a link.

A remembered browser has two things. A cookie, which is a token with the scope PAGES, stored as a
hash like all tokens. And a key, which a script of our page can use but not read. The cookie alone
opens nothing: browsers send cookies to every port of a host name, where another program may listen.
The key belongs to host name and port, so no page of another port can use it.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from antifake.core.files import write_atomically
from antifake.core.private_files import is_open_to_others
from antifake.daemon.store import Store, tokens
from antifake.daemon.store.tokens import PAGES, Grant, Token

CHALLENGE_FOR_S = 60.0
MOST_CHALLENGES = 64


@dataclass(frozen=True)
class Remembered:
    """What a browser keeps."""

    token: Token
    secret: str = field(repr=False)
    """For its cookie."""
    key: str = field(repr=False)
    """64 hex digits, for its script."""


class RememberedBrowsers:
    """Thread-safe. `address` is that of the pages under their own name, with its port: a browser is
    known at the address where it was remembered, and at no other. `clock` is the time of day.
    """

    def __init__(
        self, store: Store, clock: Callable[[], datetime], elapsed: Callable[[], float]
    ) -> None:
        self._store, self._clock, self._elapsed = store, clock, elapsed
        self._lock = threading.Lock()
        self._challenges: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._key = secrets.token_bytes(32)

    def load_key(self, path: Path) -> None:
        """Derive keys from the secret in a file, which is made if it is missing or was open to
        others: browsers are remembered for as long as it lasts. Raises OSError.
        """
        secret = _private_text(path)
        if secret is None:
            secret = secrets.token_urlsafe(32)
            write_atomically(path, secret.encode("ascii"))
        self._key = hmac.digest(secret.encode(), b"keys of remembered browsers", "sha256")

    def remember(self, name: str, address: str) -> Remembered:
        """Raises StoreError."""
        grant, now = Grant(name=name, scopes=frozenset({PAGES}), origin=address), self._clock()
        with self._store.writing(durable=True) as session:
            token, secret = tokens.issue(session, grant, now)
            tokens.note_use(session, token.id, now)
        return Remembered(token, secret, self._key_of(secret).hex())

    def find(self, secret: str, address: str) -> Token | None:
        """Returns the valid token of a cookie, or None. Raises StoreError."""
        if not secret or not address:
            return None
        with self._store.reading() as session:
            token = tokens.find(session, secret)
        is_known = token is not None and PAGES in token.scopes and token.origin == address
        return token if token and is_known and not token.is_expired(self._clock()) else None

    def challenge(self, secret: str, address: str) -> str | None:
        """Returns a text to sign, or None if the cookie is not valid. Raises StoreError."""
        token = self.find(secret, address)
        if token is None:
            return None
        challenge = secrets.token_urlsafe(32)
        with self._lock:
            self._challenges[challenge] = token.id, self._elapsed() + CHALLENGE_FOR_S
            while len(self._challenges) > MOST_CHALLENGES:
                self._challenges.popitem(last=False)
        return challenge

    def answered(self, secret: str, address: str, challenge: str, answer: str) -> Token | None:
        """Returns the token, whose use is noted, if the browser has its key. Raises StoreError.

        `answer` is the HMAC-SHA256 of the challenge, a colon and the address, in hex. Each
        challenge can be answered once.
        """
        token = self.find(secret, address)
        with self._lock:
            whose, until = self._challenges.pop(challenge, (None, 0.0))
        if token is None or token.id != whose or self._elapsed() >= until:
            return None
        message = f"{challenge}:{address}".encode()
        right = hmac.digest(self._key_of(secret), message, "sha256").hex()
        if not hmac.compare_digest(right.encode(), answer.encode("utf-8", "surrogatepass")):
            return None
        with self._store.writing() as session:
            tokens.note_use(session, token.id, self._clock())
        return token

    def _key_of(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")


def _private_text(path: Path) -> str | None:
    """Returns the text of a file. None if it is missing or other users could have read it."""
    if is_open_to_others(path):
        return None
    try:
        return path.read_text("ascii").strip() or None
    except (OSError, UnicodeError):
        return None
