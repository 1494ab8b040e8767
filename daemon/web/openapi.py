"""The OpenAPI document of the API, and a page to read it."""

import base64
import hashlib
import re
import threading
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, render_template_string

from .api import schemas
from .errors import MEDIA_TYPE
from .guards import Requirement, requirement_of, requires

routes = APIBlueprint("openapi", __name__, url_prefix="/api", enable_openapi=False)

_STYLE = "body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>{{ style|safe }}</style>
<h1>{{ title }}</h1>
<p>{{ description }} The whole of it, for programs: <a href="v1/openapi.json">openapi.json</a>.</p>
{% for path, methods in paths.items() %}{% for method, one in methods.items() %}
<h2><code>{{ method|upper }} {{ path }}</code></h2>
<p>{{ one.summary }}. {{ one.description }}</p>
{% endfor %}{% endfor %}</html>
"""
_ABOUT = "The local API of antifake: pictures in, verdicts out, and nothing leaves the computer."
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_NOTHING: dict[str, Any] = {"application/json": {"schema": {}}}
_turn = threading.Lock()


@routes.get("/v1/openapi.json")
@requires()
def openapi() -> Response:
    return jsonify(_document())


@routes.get("/docs")
@requires()
def docs() -> Response:
    found = _document()
    page = render_template_string(
        _PAGE, title=found["info"]["title"], description=_ABOUT, style=_STYLE, paths=found["paths"]
    )
    return Response(page, headers={"Content-Security-Policy": _POLICY}, mimetype="text/html")


def _document() -> dict[str, Any]:
    """Returns the document, which is made at the first request and then kept."""
    app = cast(APIFlask, current_app)
    with _turn:
        if "document" not in app.extensions:
            app.extensions["document"] = app.spec
        return cast(dict[str, Any], app.extensions["document"])


def describe(app: APIFlask) -> None:
    """Add to the document what the views do not declare: tokens, scopes, the form of errors."""
    app.servers = [{"url": "/"}]
    app.description = _ABOUT
    app.config["HTTP_ERROR_SCHEMA"] = app.config["VALIDATION_ERROR_SCHEMA"] = schemas.Problem
    app.config["SECURITY_SCHEMES"] = {"token": {"type": "http", "scheme": "bearer"}}

    @app.spec_processor
    def finish(found: dict[str, Any] | str) -> dict[str, Any] | str:
        assert isinstance(found, dict)  # noqa: S101  # text only if it were YAML
        requirements = _requirements(app)
        for path, methods in found["paths"].items():
            for method, one in methods.items():
                _finish(one, requirements[path, method])
        return found


def _requirements(app: APIFlask) -> dict[tuple[str, str], Requirement]:
    """Returns the requirements by path and method, as the document writes them."""
    return {
        (re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule), method.lower()): requirement_of(
            rule.endpoint
        )
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def _finish(operation: dict[str, Any], required: Requirement) -> None:
    responses = operation["responses"]
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if required.scopes:
        operation["security"] = [{"token": []}]
        needed = " or ".join(sorted(required.scopes))
        operation["description"] = f"{operation.get('description', '')}\nScope: {needed}.".strip()
        for status, words in (("401", "No valid token"), ("403", "The token is not for that")):
            responses.setdefault(status, {"description": words})
    responses["default"] = {"description": "Why not, in a sentence"}
    for status, response in responses.items():
        if status == "default" or status >= "4":
            response["content"] = {MEDIA_TYPE: {"schema": _PROBLEM}}
        elif status == "204" or response.get("content") == _NOTHING:
            response.pop("content", None)
