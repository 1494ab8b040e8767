"""Kinds of columns: values as Python has them, stored small and so that any database can."""

import re

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

# SQLite's row numbers are INTEGER and nothing else; elsewhere that is too short.
NUMBER = BigInteger().with_variant(Integer, "sqlite")
# Prefixes are looked up by comparing, which only the order of the bytes allows.
ORDERED_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_MARK = "\ufdd0"  # a code point that Unicode has set apart: it is no character
_UNSTORABLE = re.compile(f"[\0\ud800-\udfff{_MARK}]")
_ESCAPED = re.compile(f"{_MARK}([0-9a-f]{{4}})")


def storable(text: str) -> str:
    """The same text without null characters and surrogates; `as_it_was` takes it back.

    A file name that is not UTF-8 reaches Python with surrogates in it, and no database takes those.
    """
    return _UNSTORABLE.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


def as_it_was(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


class AnyText(TypeDecorator[str]):
    """Text from outside: names of files, addresses of pages."""

    impl = ORDERED_TEXT
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else storable(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else as_it_was(value)


class Sha256(TypeDecorator[str]):
    """64 hex digits, stored as 32 bytes."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.hex()


class Unsigned64(TypeDecorator[int]):
    """0 .. 2**64 - 1, stored as the signed number of the same bits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return value - 2**64 if value is not None and value >= 2**63 else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return value + 2**64 if value is not None and value < 0 else value
