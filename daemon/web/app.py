"""The app: guards in front, then the views, and one shape of error behind all of them."""

from io import BytesIO
from pathlib import Path
from typing import IO, Any

from apiflask import APIFlask
from flask import Request

from antifake.daemon.service import Service
from antifake.daemon.service.access import Access

from . import errors, guards, openapi, pages
from .api import checks, events, history, pairing, settings, status, watches
from .context import NAME, About, Behind

__all__ = ["About", "create_app"]

_PARTS = (status, checks, history, watches, settings, events, pairing, openapi)
_HERE = str(Path(__file__).parent)
_MAX_PARTS = 16
_MAX_FIELD_BYTES = 500_000
"""Well above the 64 KiB that Werkzeug reads at once: it also holds a file's bytes against this
while it looks for their end."""


class _Request(Request):
    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        """In memory: it is read as a whole in a moment, and no second copy of a picture that may
        be private is to lie on the disk."""
        return BytesIO()


def create_app(service: Service, access: Access, about: About) -> APIFlask:
    app = APIFlask(
        "antifake.daemon.web",
        title="antifake",
        version="1",
        spec_path=None,
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # as Flask takes it: no files are served
        # Not looked for: a namespace package has no one place. Nothing is read from there.
        root_path=_HERE,
        instance_path=_HERE,
    )
    app.request_class = _Request
    app.extensions[NAME] = Behind(service, access, about)
    app.url_map.merge_slashes = False
    app.config.update(
        PROVIDE_AUTOMATIC_OPTIONS=False,
        MAX_CONTENT_LENGTH=guards.MAX_FILE_BYTES + 4096,
        MAX_FORM_PARTS=_MAX_PARTS,
        MAX_FORM_MEMORY_SIZE=_MAX_FIELD_BYTES,
    )
    guards.guard(app)
    errors.handle(app)
    for part in _PARTS:
        app.register_blueprint(part.routes)
    seen = pages.blueprint(service, access, guards.MAX_FILE_BYTES, about.requests)
    vars(seen)["enable_openapi"] = False  # APIFlask asks every blueprint, also Flask's own
    app.register_blueprint(seen)
    guards.door(max_bytes=guards.MAX_FILE_BYTES)(app.view_functions[pages.CHECK])
    openapi.describe(app)
    return app
