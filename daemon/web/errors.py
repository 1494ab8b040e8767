"""Every error as one shape, RFC 9457: a sentence for people and a code for programs."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from json import dumps
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response

from antifake.core import AntifakeError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 10
_OWN_ACCOUNT = "Something went wrong inside antifake; its log says more."

_SAID_BY_HTTP = {
    400: ("bad_request", "This request cannot be understood."),
    401: ("unauthorized", "This takes a token."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This cannot be done at this address."),
    413: ("too_large", "This is more than is taken here."),
    415: ("media_type", "This kind of body is not taken here."),
    422: ("invalid", "Something in this request cannot be as it is."),
}


class Problem(Exception):  # noqa: N818  # its name in the RFC
    """What a view or a guard answers instead; not an AntifakeError, since only HTTP has it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.members = dict(headers or {}), members


def body_of(problem: Problem) -> bytes:
    members = {
        "type": f"urn:antifake:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.members,
    }
    return dumps(members).encode("ascii")


def answer(problem: Problem) -> Response:
    return Response(body_of(problem), problem.status, problem.headers, content_type=MEDIA_TYPE)


def of_error(error: AntifakeError) -> Problem:
    headers = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S)
    return Problem(error.status, error.code, str(error), headers)


def of_http(error: HTTPError) -> Problem:
    """What Flask and the checking of parameters refuse."""
    plain = ("refused", HTTPStatus(error.status_code).phrase)
    code, detail = _SAID_BY_HTTP.get(error.status_code, plain)
    members = {"errors": list(_errors(error.detail))} if error.detail else {}
    headers = {name: str(value) for name, value in dict(error.headers).items()}
    return Problem(error.status_code, code, detail, headers, **members)


def _errors(found: Any, where: str = "") -> Iterator[dict[str, str]]:
    """{"json": {"name": ["Missing."]}} -> where and what, flat."""
    if isinstance(found, dict):
        for name, inside in found.items():
            yield from _errors(inside, f"{where}.{name}" if where else str(name))
    else:
        for sentence in found if isinstance(found, list) else [found]:
            yield {"where": where, "detail": str(sentence)}


def handle(app: APIFlask) -> None:
    """Nothing leaves the app as anything else."""
    app.error_processor(lambda error: answer(of_http(error)))
    app.register_error_handler(Problem, answer)
    app.register_error_handler(AntifakeError, lambda error: answer(of_error(error)))

    def unexpected(error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return answer(Problem(500, "internal_error", _OWN_ACCOUNT))

    app.register_error_handler(Exception, unexpected)
