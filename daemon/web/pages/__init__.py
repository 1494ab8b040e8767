"""The local web page: history, review, folders, browsers, settings, privacy.

A door: it reads addresses and forms, calls the service, and renders. Whoever only reads needs no
JavaScript; whoever changes something sends JSON, or the bytes of a picture, with the cookie of a
session (see sessions).

    app.register_blueprint(pages.blueprint(service, access, max_bytes))
"""

import mimetypes
from collections.abc import Callable

from flask import Blueprint

from antifake.daemon.service import Service
from antifake.daemon.service.access import Access

from . import (
    browsers,
    checking,
    errors,
    folders,
    history,
    live,
    picture,
    privacy,
    review,
    sessions,
    settings,
)
from .context import House

__all__ = ["CHECK", "blueprint"]

CHECK = "pages.check"
"""The one endpoint that takes more than a small body: up to `max_bytes` of a picture."""

# Windows takes these from its registry, where other programs change them; a browser that is told
# not to guess would then run nothing.
for _suffix, _kind in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
    mimetypes.add_type(_kind, _suffix)


def blueprint(
    service: Service,
    access: Access,
    max_bytes: int,
    requests: Callable[[], list[str]] | None = None,
) -> Blueprint:
    """`requests` gives the lines of `Home.requests`: every request that ever left this computer."""
    pages = Blueprint(
        "pages",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )
    house = House(service, access, requests, max_bytes)
    sessions.guard(pages, house)
    errors.handle(pages, house)
    for part in (history, checking, picture, review, folders, browsers, settings, privacy, live):
        part.add(pages, house)
    return pages
