"""Creates the app: the guards, the views of API and pages, and the error handlers."""

from io import BytesIO
from pathlib import Path
from typing import IO, Any

from apiflask import APIFlask

from antifake.core.i18n_html import install
from antifake.daemon.service import Service
from antifake.daemon.service.access import Access

from . import errors, guards, openapi, pages
from .api import checks, events, history, learning, pairing, reports, settings, status, watches
from .context import NAME, About, Context

__all__ = ["About", "create_app"]

_BLUEPRINTS = (
    status.routes,
    checks.routes,
    reports.routes,
    history.routes,
    watches.routes,
    learning.routes,
    settings.routes,
    events.routes,
    pairing.routes,
    openapi.routes,
    pages.routes,
)
_HERE = str(Path(__file__).parent)
_MAX_PARTS = 16
_MAX_FIELD_BYTES = 500_000
"""Well above the 64 KiB that Werkzeug reads at once, because it also counts the bytes of a file
while it looks for their end."""


class _Request(guards.JsonRequest):
    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        """Returns a file in memory, because no copy of a private picture may be written to disk."""
        return BytesIO()


def create_app(service: Service, access: Access, about: About) -> APIFlask:
    app = APIFlask(
        "antifake.daemon.web",
        title="antifake",
        version="1",
        spec_path=None,
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # Flask accepts None: serve no files
        # Given because Flask cannot find the root of a namespace package. Nothing is read there.
        root_path=_HERE,
        instance_path=_HERE,
    )
    app.request_class = _Request
    app.extensions[NAME] = Context(service, access, about)
    app.url_map.merge_slashes = False
    app.config.update(
        PROVIDE_AUTOMATIC_OPTIONS=False,
        MAX_CONTENT_LENGTH=guards.MAX_BODY_BYTES,
        MAX_FORM_PARTS=_MAX_PARTS,
        MAX_FORM_MEMORY_SIZE=_MAX_FIELD_BYTES,
    )
    install(app.jinja_env)
    guards.guard(app)
    errors.handle(app, pages.explain)
    for routes in _BLUEPRINTS:
        app.register_blueprint(routes)
    guards.requires()(app.view_functions[pages.STATIC])
    openapi.describe(app)
    return app
