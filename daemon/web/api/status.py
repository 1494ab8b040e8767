"""How the daemon stands, and asking it to stop."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from antifake.daemon.web.context import context, service
from antifake.daemon.web.guards import requires

from . import schemas, serialize

routes = APIBlueprint("status", __name__, url_prefix="/api/v1", tag="The daemon")


@routes.get("/health")
@requires()
@routes.output(schemas.Health)
def health() -> Response:
    """Whether this is antifake; nothing of the person's is in it"""
    version = context().about.version
    return jsonify(service="antifake", api="v1", version=version, ready=True)


@routes.get("/state")
@requires("read")
@routes.output(schemas.State)
def get_state() -> Response:
    """How things are"""
    # The number first: what happens in between is then told again, not lost.
    last = service().events.last
    return jsonify(serialize.state(service().state(), context().about.version, last))


@routes.post("/notices:dismiss")
@requires("admin")
@routes.output({}, 204)
def dismiss() -> Response:
    """The notices were read"""
    service().dismiss_notices()
    return Response(status=204)


@routes.post("/daemon:stop")
@requires("admin")
@routes.output({}, 202)
def stop() -> Response:
    """Stop; what is being judged is finished first"""
    context().about.stop()
    return Response(status=202)
