"""The page about privacy: what has ever left this computer, and what is kept on it, and where."""

from flask import Response

from antifake.core import request_log
from antifake.daemon.web.context import context, service

from .render import routes, show


@routes.get("/privacy")
def privacy() -> Response:
    requests = context().about.requests
    backups = service().store.backups
    return show(
        "privacy.html",
        requests=None if requests is None else [*map(request_log.read, requests()[::-1])],
        config=service().config,
        file=str(service().settings.path),
        database=service().store.database.name,
        backups=str(backups.folder) if backups else None,
    )
