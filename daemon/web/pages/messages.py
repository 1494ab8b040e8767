"""The messages of the page's scripts, in the person's language, as a module of JavaScript."""

import json

from flask import Response, request

from antifake.core.i18n import messages_of_scripts
from antifake.daemon.web.guards import requires

from .render import routes

NAME = "messages.js"


@routes.get(f"/assets/{NAME}")
@requires()
def messages() -> Response:
    """Is beside the scripts, which import it, and as open as they are; in English it is empty."""
    known = {"messages": {}, "plurals": []} | messages_of_scripts()
    lines = [f"export const {name} = {json.dumps(known[name])};\n" for name in sorted(known)]
    response = Response("".join(lines), content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
