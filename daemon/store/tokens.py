"""Access tokens of the API: named, with scopes, stored as hashes, revocable.

Write these with `durable`: a revoked token must not come back after a power cut.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from antifake.core.i18n import _

from .database import NotThereError
from .ids import Randomness, from_ms, to_ms
from .tables import TokenRow

SECRET_BYTES = 32
NOTED_EVERY = timedelta(minutes=1)
"""Precision of the last use: not every request is worth a write."""
PAGES = "pages"
"""The scope of a remembered browser. It is not for the API, and no program can ask for it."""
REMEMBERED_FOR = timedelta(days=90)
"""How long after its last use a browser is remembered."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What its owner may do."""

    name: str
    scopes: frozenset[str]
    origin: str | None = None
    """The origin that a browser must send with the token."""


@dataclass(frozen=True, kw_only=True)
class Token(Grant):
    """All about a token but its secret, which only its owner has."""

    id: int
    created: datetime
    last_used: datetime | None
    revoked: datetime | None

    @property
    def expires(self) -> datetime | None:
        """When it ends if it is not used until then. None for programs: theirs do not expire."""
        return (self.last_used or self.created) + REMEMBERED_FOR if PAGES in self.scopes else None

    def is_expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires


def issue(
    session: Session, grant: Grant, now: datetime, random: Randomness = token_bytes
) -> tuple[Token, str]:
    """Creates a token. Returns it and its secret, which is shown only once."""
    secret = urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=")
    row = TokenRow(
        name=grant.name,
        scopes=" ".join(sorted(grant.scopes)),
        origin=grant.origin,
        hash=_hash(secret),
        created=to_ms(now),
    )
    session.add(row)
    session.flush()
    return _token(row), secret


def find(session: Session, secret: str) -> Token | None:
    """Returns the valid token of a secret, or None. Looked up by hash: timing reveals nothing."""
    row = session.scalars(_VALID, {"hash": _hash(secret)}).first()
    return _token(row) if row else None


def hash_of(session: Session, token_id: int) -> str | None:
    """Returns the hash of a token's secret, 64 hex digits, also if it is revoked, or None."""
    row = session.get(TokenRow, token_id)
    return row.hash if row else None


def is_use_worth_noting(token: Token, now: datetime) -> bool:
    return token.last_used is None or abs(now - token.last_used) >= NOTED_EVERY


def note_use(session: Session, token_id: int, now: datetime) -> None:
    _row(session, token_id).last_used = to_ms(now)


def revoke(session: Session, token_id: int, now: datetime) -> None:
    row = _row(session, token_id)
    row.revoked = row.revoked or to_ms(now)


def drop_named(session: Session, name: str) -> None:
    """Deletes all tokens of that name."""
    session.execute(delete(TokenRow).where(TokenRow.name == name))


def all_tokens(session: Session) -> Sequence[Token]:
    """Returns all tokens, also revoked ones, oldest first."""
    return [_token(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id))]


# Built once, because every request needs it.
_VALID = select(TokenRow).where(TokenRow.hash == bindparam("hash"), TokenRow.revoked.is_(None))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _row(session: Session, token_id: int) -> TokenRow:
    row = session.get(TokenRow, token_id)
    if row is None:
        raise NotThereError(_("There is no token {number}.", number=token_id))
    return row


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        origin=row.origin,
        created=from_ms(row.created),
        last_used=None if row.last_used is None else from_ms(row.last_used),
        revoked=None if row.revoked is None else from_ms(row.revoked),
    )
