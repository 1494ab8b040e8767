"""One-time confirmations: the pages ask again before a change that cannot simply be taken back."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

CONFIRMATION_FOR_S = 60.0
MOST_CONFIRMATIONS = 64


@dataclass(frozen=True)
class _Asked:
    of: bytes
    """The digest of the session and of what is to be confirmed."""
    until_s: float


class Confirmations:
    """Thread-safe. They are kept in memory, as hashes. They end by `elapsed`, in seconds."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._asked: OrderedDict[bytes, _Asked] = OrderedDict()

    def ask(self, session: str, what: str) -> str:
        """Returns the secret that confirms `what` in this session, once, within a minute."""
        secret = secrets.token_urlsafe(32)
        asked = _Asked(_digest(session, what), self._elapsed() + CONFIRMATION_FOR_S)
        with self._lock:
            self._asked[_digest(secret)] = asked
            while len(self._asked) > MOST_CONFIRMATIONS:
                self._asked.popitem(last=False)
        return secret

    def take(self, secret: str, session: str, what: str) -> bool:
        """Returns whether a secret confirms exactly this. Whatever it confirms, it is used up."""
        with self._lock:
            asked = self._asked.pop(_digest(secret), None)
        if asked is None or self._elapsed() >= asked.until_s:
            return False
        return hmac.compare_digest(asked.of, _digest(session, what))


def _digest(*texts: str) -> bytes:
    parts = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    return hashlib.sha256(b"".join(parts)).digest()
