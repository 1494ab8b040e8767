"""`antifake evidence`: what picture files say of themselves, without a model."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from antifake.core.i18n import _
from antifake.core.terminal import EXIT_SOME_FAILED, json_option

from .check import evidence_here, sources_of

if TYPE_CHECKING:
    from antifake.core.results import Result


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
def evidence(paths: tuple[str, ...], as_json: bool) -> None:
    """Read what picture files say of themselves: notes of generators, Content Credentials.

    No model is asked. A note can be copied onto any picture and removed from any.
    """
    found = []
    for name, result in zip(paths, evidence_here(sources_of(paths)), strict=True):
        found.append(result)
        if not as_json:
            _echo(name, result)
    if as_json:
        read = zip(paths, found, strict=True)
        click.echo(json.dumps([_to_dict(name, result) for name, result in read], indent=1))
    if any(result.error for result in found):
        sys.exit(EXIT_SOME_FAILED)


def _to_dict(name: str, result: "Result") -> dict[str, Any]:
    if result.error:
        return {"path": name, "error": result.error, "code": result.code}
    return {"path": name, "evidence": result.evidence}


def _echo(name: str, result: "Result") -> None:
    from antifake.core.results import printable

    if result.error or result.evidence is None:
        click.echo(f"{printable(name)}: {result.error}")
        return
    click.echo(f"{printable(name)}: {_short(result, result.evidence['tracks'])}")
    for one in result.evidence["sentences"]:
        if one["track"] != "model":
            click.echo(f"  {one['text']}")


def _short(result: "Result", tracks: dict[str, Any]) -> str:
    """Returns in a few words what the file says of AI."""
    if result.is_declared_or_marked:
        return str(result.headline)
    is_mentioned = tracks["marks"]["found"] or tracks["provenance"]["says"] == "ai_part"
    return _("mentions AI") if is_mentioned else _("nothing that says AI")
