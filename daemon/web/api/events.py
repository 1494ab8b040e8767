"""The events of the daemon: as a stream, or as one answer that waits for the next event."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from antifake.daemon.web import events
from antifake.daemon.web.guards import JSON, requires

from . import schemas

routes = APIBlueprint("events", __name__, url_prefix="/api/v1", tag="Events")


@routes.get("/events")
@requires("read")
@routes.input(schemas.Since, location="query", arg_name="query")
@routes.output(schemas.Events)
@routes.doc(responses={503: "Too many streams are open already"})
def get_events(query: dict[str, Any]) -> Response:
    """Get the events after `after`

    As text/event-stream the answer is a stream without end. As application/json it is one
    answer, sent as soon as there is an event, or after `wait` seconds. `reset` means that some
    events are lost: ask for the state again.
    """
    after = query.get("after")
    if request.accept_mimetypes.best_match([events.MEDIA_TYPE, JSON], events.MEDIA_TYPE) == JSON:
        return events.polled(after, query["wait"])
    return events.streamed(after)
