"""A report on a picture, as a file to keep or to pass on."""

from typing import Any

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response

from antifake.daemon import report
from antifake.daemon.web.context import service

from . import schemas

routes = APIBlueprint("reports", __name__, url_prefix="/api/v1", tag="Checks")

_OTHER: Any = {
    200: {
        "content": {report.TYPES["html"]: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@routes.get("/checks/<name>/report")
@routes.input(schemas.ReportWanted, location="query", arg_name="query")
@routes.output(FileSchema(type="string", format="binary"), content_type=report.TYPES["pdf"])
@routes.doc(responses=_OTHER)
def get_report(name: str, query: dict[str, Any]) -> Response:
    """Get a report on a picture for other people

    One file with the picture, the verdict, what it means and what it cannot tell. It has no paths,
    and with `name=false` no names of files.
    """
    return as_file(name, query["format"], with_name=query["name"])


def as_file(name: str, kind: report.Format, *, with_name: bool) -> Response:
    """Returns a report that a browser saves and never shows as a page of antifake."""
    data = report.made(service(), name, kind, service().clock(), with_name=with_name)
    headers = {"Content-Disposition": f'attachment; filename="{report.file_name(name, kind)}"'}
    return Response(data, headers=headers, content_type=report.TYPES[kind])
