"""A report on one picture for other people, as one file: HTML or PDF.

content   what it says, in sections; knows no format
html, pdf how it looks
It tells no paths, and the name of the file only if the user wants that.
"""

from datetime import datetime
from typing import Literal

from antifake.daemon.service import Service

from . import content

Format = Literal["html", "pdf"]
TYPES: dict[Format, str] = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}


def made(
    service: Service, name: str, kind: Format, now: datetime, *, with_name: bool = True
) -> bytes:
    """Returns the report on the check `name`, the same for the same arguments and history.

    Raises NotThereError.
    """
    found = content.of(service, name, now, with_name=with_name)
    if kind == "html":
        from .html import rendered  # noqa: PLC0415 - templates and PDF are seldom needed
    else:
        from .pdf import rendered  # noqa: PLC0415
    return rendered(found)


def file_name(name: str, kind: Format) -> str:
    """Returns what the file of a report is called. The id of a check is safe in every header."""
    return f"antifake-report-{name}.{kind}"
