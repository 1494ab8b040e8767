"""Column types: Python values, stored compactly and in a way that any database supports."""

import json
import re

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

from antifake.core.parts import JudgedPart

# SQLite requires INTEGER for row numbers; in other databases INTEGER is too short.
NUMBER = BigInteger().with_variant(Integer, "sqlite")
# Prefixes are found by comparison, which needs the order of the bytes.
ORDERED_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_MARK = "\ufdd0"  # a code point that Unicode reserves: not a character
_UNSTORABLE = re.compile(f"[\0\ud800-\udfff{_MARK}]")
_ESCAPED = re.compile(f"{_MARK}([0-9a-f]{{4}})")


def storable(text: str) -> str:
    """Returns the text with null characters and surrogates escaped; `as_it_was` undoes this.

    Python represents a file name that is not UTF-8 with surrogates, which no database accepts.
    """
    return _UNSTORABLE.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


def as_it_was(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


class AnyText(TypeDecorator[str]):
    """Text from outside: file names and page addresses."""

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


class JudgedParts(TypeDecorator[tuple[JudgedPart, ...]]):
    """The parts of a picture with their scores, as a list of JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self,
        value: tuple[JudgedPart, ...] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> str | None:
        if value is None:
            return None
        return json.dumps([one.to_list() for one in value], separators=(",", ":"))

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> tuple[JudgedPart, ...] | None:
        return None if value is None else tuple(map(JudgedPart.from_list, json.loads(value)))
