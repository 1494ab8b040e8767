"""JSON of files that may come from anywhere: one meaning, plain numbers, text that can be printed.

Python's own reader takes the last of two equal keys, NaN, numbers of any length and halves of
characters.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from .i18n import _

LARGEST = 2**63


def strict_json(data: bytes | str) -> Any:
    """Returns the value of a JSON text in UTF-8. Raises ValueError with a reason for people."""
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_number,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError:
        raise ValueError(_("it is not UTF-8")) from None
    except json.JSONDecodeError as error:
        raise ValueError(_("it is not JSON (line {line})", line=error.lineno)) from None
    except RecursionError:
        raise ValueError(_("it is nested too deep")) from None


def is_printable(value: object, most: int) -> bool:
    """Returns whether it is a text of at most `most` characters, none of them a control."""
    return isinstance(value, str) and len(value) <= most and value.isprintable()


def is_whole(value: object, most: int, least: int = 0) -> bool:
    """Returns whether it is a whole number in these limits; True and False are none."""
    return type(value) is int and least <= value <= most


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(_("it says something twice"))
        found[key] = value
    return found


def _int(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= LARGEST:
        _refuse_number(text)
    return number


def _float(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        _refuse_number(text)
    return number


def _refuse_number(_text: str) -> NoReturn:
    raise ValueError(_("it has a number that cannot be"))
