"""Reads values from the JSON that the page's scripts send."""

from typing import Any, TypeVar

from flask import request

from antifake.core.i18n import _
from antifake.daemon.web.errors import Problem

T = TypeVar("T")


def value(name: str, kind: type[T]) -> T:
    """Returns a value. Raises Problem if it is missing or of another type."""
    body: Any = request.get_json(silent=True)
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Problem(400, "bad_request", _("{name} is missing or of the wrong type.", name=name))
    return found


def texts(name: str, at_most: int = 500) -> list[str]:
    """Returns a list of texts that is not empty. Raises Problem."""
    found = value(name, list)
    if not 0 < len(found) <= at_most or not all(isinstance(one, str) for one in found):
        raise Problem(
            400,
            "bad_request",
            _("{name} must be a list of 1 to {most} texts.", name=name, most=at_most),
        )
    return found


def lines(name: str) -> list[str]:
    """Returns the lines of a text that are not empty."""
    return [line.strip() for line in value(name, str).splitlines() if line.strip()]
