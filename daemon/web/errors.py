"""Turns every error into an answer. No other module does.

Programs get RFC 9457 (problem+json), the scripts of our page get {"error": ...}, and the user gets
a page. All three have the same status, code and sentence, which the class of the error defines.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from json import dumps
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, request

from antifake.core import AntifakeError
from antifake.core.errors import is_disk_full
from antifake.core.i18n import _

log = logging.getLogger(__name__)

API = "/api/"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 10
_FOREIGN = {"misdirected", "wrong_origin"}
"""Errors of requests that a page of the web caused. They are not answered with our page."""
SCRIPT_HEADER = "X-Requested-By"
"""A header that the scripts of our page send and that no form can send."""
PAGE_KEY_HEADER = "X-Page-Key"
"""The header with the key of the session: see Access.page_key()."""
CONFIRMATION_HEADER = "X-Confirmation"
"""The header by which the page says that a person was asked: see pages/confirming."""

_OF_HTTP = {
    400: ("bad_request", _("This request cannot be understood.")),
    401: ("unauthorized", _("This needs a token.")),
    404: ("not_found", _("There is nothing at this address.")),
    405: ("method_not_allowed", _("This cannot be done at this address.")),
    413: ("too_large", _("This is larger than what is accepted here.")),
    415: ("media_type", _("This type of content is not accepted here.")),
    422: ("invalid", _("Something in this request is not valid.")),
}
"""Code and sentence for what Flask and the schemas refuse."""


class Problem(Exception):  # noqa: N818  # the name in the RFC
    """An error that exists only in HTTP. All other errors are AntifakeErrors."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """`members` are additional fields of the JSON."""
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.members = dict(headers or {}), members


def handle(app: APIFlask, page: Callable[[Problem], Response]) -> None:
    """Register the handlers of all errors. `page` renders a problem for the user."""

    def answer(problem: Problem) -> Response:
        if request.path.startswith(API) or problem.code in _FOREIGN:
            return problem_json(problem)
        response = _script_json(problem) if _is_from_script() else page(problem)
        response.headers.extend(problem.headers)
        return response

    def unwritten(error: OSError) -> Response:
        return answer(no_room()) if is_disk_full(error) else unexpected(error)

    def unexpected(error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        sentence = _("Something went wrong inside antifake; its log says more.")
        return answer(Problem(500, "internal_error", sentence))

    app.error_processor(lambda error: answer(of_http(error)))
    app.register_error_handler(Problem, answer)
    app.register_error_handler(AntifakeError, lambda error: answer(of_error(error)))
    app.register_error_handler(OSError, unwritten)
    app.register_error_handler(Exception, unexpected)


def of_error(error: AntifakeError) -> Problem:
    headers = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S)
    return Problem(error.status, error.code, str(error), headers)


def no_room() -> Problem:
    return Problem(
        507,
        "storage_full",
        _("The disk is full, so this cannot be done. Free some room, then try again."),
    )


def of_http(error: HTTPError) -> Problem:
    """Returns the problem for a request that Flask, Werkzeug or a schema refuses."""
    default = ("refused", HTTPStatus(error.status_code).phrase)
    code, detail = _OF_HTTP.get(error.status_code, default)
    members = {"errors": list(_errors(error.detail))} if error.detail else {}
    headers = {name: str(value) for name, value in dict(error.headers).items()}
    return Problem(error.status_code, code, detail, headers, **members)


def _errors(found: Any, where: str = "") -> Iterator[dict[str, str]]:
    """Flattens {"json": {"name": ["Missing."]}} into pairs of place and error."""
    if isinstance(found, dict):
        for name, inside in found.items():
            yield from _errors(inside, f"{where}.{name}" if where else str(name))
    else:
        for sentence in found if isinstance(found, list) else [found]:
            yield {"where": where, "detail": str(sentence)}


def problem_json(problem: Problem) -> Response:
    members = {
        "type": f"urn:antifake:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.members,
    }
    return Response(dumps(members), problem.status, problem.headers, content_type=MEDIA_TYPE)


def _script_json(problem: Problem) -> Response:
    # A script cannot show a lone surrogate.
    sentence = problem.detail.encode("utf-8", "replace").decode()
    body = dumps({"error": sentence, "code": problem.code, **problem.members})
    return Response(body, problem.status, content_type="application/json")


def _is_from_script() -> bool:
    return request.method not in ("GET", "HEAD") or SCRIPT_HEADER in request.headers
