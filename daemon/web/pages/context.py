"""What every page is made with: the service, who may see it, and the frame around it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from flask import Response, g, render_template, request

from antifake.core import AntifakeError
from antifake.daemon.service import Service, State
from antifake.daemon.service.access import Access

from . import wording


@dataclass(frozen=True)
class House:
    service: Service
    access: Access
    requests: Callable[[], list[str]] | None
    max_bytes: int
    """Of a picture that is given to the page."""

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """A whole page, with its frame."""
        around = {"state": self.state(), "pending": self.access.pending(), "here": request.endpoint}
        return self.piece(template, status, **around | values)

    def piece(self, template: str, status: int = 200, **values: Any) -> Response:
        """A part of one, or a page without the header."""
        common = {
            "words": wording,
            "version": version("antifake"),
            "last_event": g.get("last_event", 0),
            "is_local": self.service.store.database.is_sqlite,
        }
        # Not as text: a lone half of a character, in whatever sentence, must not be an error 500.
        page = render_template(template, **common | values).encode("utf-8", "replace")
        return Response(page, status, content_type="text/html; charset=utf-8")

    def state(self) -> State | None:
        """None where not even that can be known; the page then says why itself."""
        try:
            return self.service.state()
        except AntifakeError:
            return None
