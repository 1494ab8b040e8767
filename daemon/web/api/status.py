"""The state of the daemon, and the request to stop it."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from antifake.daemon.web.context import context, service
from antifake.daemon.web.guards import caller, requires

from . import schemas, serialize

routes = APIBlueprint("status", __name__, url_prefix="/api/v1", tag="The daemon")


@routes.get("/health")
@requires()
@routes.output(schemas.Health)
def health() -> Response:
    """Tell whether this is antifake; contains no data of the user

    The status is 200 as long as it answers. It is not `ready` while pictures cannot be judged, or
    while the disk or the history takes nothing: `/state` says why. Pictures may be sent all the
    same.
    """
    ready = not service().is_in_trouble
    version = context().about.version
    return jsonify(service="antifake", api="v1", version=version, ready=ready)


@routes.get("/state")
@requires("check", "read")
@routes.output(schemas.State)
def get_state() -> Response:
    """Get the state of the daemon

    The notices are for callers who may read the history; for others the list is empty.
    """
    # The event number first, so that events in between are sent again and not lost.
    last = service().events.last
    version = context().about.version
    return jsonify(serialize.state(service().state(), caller(), version, last))


@routes.post("/notices:dismiss")
@requires("admin")
@routes.output({}, 204)
def dismiss() -> Response:
    """Dismiss the notices"""
    service().dismiss_notices()
    return Response(status=204)


@routes.post("/daemon:stop")
@requires("admin")
@routes.output({}, 202)
def stop() -> Response:
    """Stop the daemon after the pictures that are being judged"""
    context().about.stop()
    return Response(status=202)
