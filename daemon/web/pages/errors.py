"""Errors of the service become a page with their sentence; for a script, the sentence alone."""

from flask import Blueprint, Response, jsonify, request

from antifake.core import AntifakeError

from .context import House
from .sessions import OPEN, NobodyError

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
        status = error.status
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
