"""Errors of the service become a page with their sentence; for a script, the sentence alone."""

from flask import Blueprint, Response, jsonify, request

from antifake.core import AntifakeError
from antifake.core.errors import ModelError, UnreadableImageError, UsageError
from antifake.daemon.store import NotThereError, StorageFullError, StoreError
from antifake.daemon.worker.model_process import ModelDiedError
from antifake.daemon.worker.queue import QueueFullError

from .context import House
from .sessions import OPEN, NobodyError, RefusedError

_STATUSES: list[tuple[type[AntifakeError], int]] = [
    (NotThereError, 404),
    (UsageError, 422),
    (StorageFullError, 507),
    (StoreError, 503),
    (QueueFullError, 503),
    (ModelError, 503),
    (ModelDiedError, 503),
    (UnreadableImageError, 422),
    (AntifakeError, 409),
]
TITLES = {
    400: "That cannot be read",
    403: "That is not allowed",
    404: "It is not there",
    405: "That is not possible",
    503: "Not just now",
    507: "The disk is full",
}


def handle(pages: Blueprint, house: House) -> None:
    @pages.errorhandler(AntifakeError)
    def explain(error: AntifakeError) -> Response:
        status = status_of(error)
        if request.method == "POST" or request.headers.get("X-Requested-By"):
            response = jsonify(error=str(error).encode("utf-8", "replace").decode())
            response.status_code = status
        elif isinstance(error, NobodyError):
            response = house.piece("away.html", status, was_link=False)
        else:
            title = TITLES.get(status, "That did not work")
            # Who has no session sees nothing of how things are.
            show = house.piece if request.endpoint in OPEN else house.show
            response = show("error.html", status, title=title, sentence=str(error))
        if status == 503:
            response.headers["Retry-After"] = "10"
        return response


def status_of(error: AntifakeError) -> int:
    if isinstance(error, RefusedError):
        return error.status
    return next(status for kind, status in _STATUSES if isinstance(error, kind))
