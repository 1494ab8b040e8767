"""A report as one HTML file that loads nothing and runs nothing."""

from base64 import b64encode
from pathlib import Path

import jinja2

from antifake.core import i18n_html

from .content import Report

_TEMPLATE = Path(__file__).parent / "report.html"


def rendered(report: Report) -> bytes:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    i18n_html.install(environment)
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    picture = b64encode(report.picture).decode() if report.picture else ""
    return template.render(report=report, picture=picture).encode("utf-8", "replace")
