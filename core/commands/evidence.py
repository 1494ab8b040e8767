"""`antifake evidence`: what picture files say of themselves, without a model."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from antifake.core.errors import UnreadableImageError
from antifake.core.i18n import _
from antifake.core.terminal import EXIT_SOME_FAILED, json_option

from .check import sources_of


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
def evidence(paths: tuple[str, ...], as_json: bool) -> None:
    """Read what picture files say of themselves: notes of generators, Content Credentials.

    No model is asked. A note can be copied onto any picture and removed from any.
    """
    found = []
    for name, read in _read(paths, sources_of(paths)):
        found.append({"path": name} | read)
        if not as_json:
            _echo(name, read)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    if any("error" in one for one in found):
        sys.exit(EXIT_SOME_FAILED)


def _read(
    names: tuple[str, ...], sources: list[Path | bytes]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name of each picture with its evidence, or the sentence why there is none."""
    from antifake.core.evidence.reading import EvidenceReader
    from antifake.core.evidence.serialize import to_dict
    from antifake.core.images import read_file

    with EvidenceReader() as reader:
        for name, source in zip(names, sources, strict=True):
            try:
                data = source if isinstance(source, bytes) else read_file(source)
            except UnreadableImageError as error:
                yield name, {"error": str(error), "code": error.code}
            else:
                yield name, {"evidence": to_dict(reader.read(data))}


def _echo(name: str, read: dict[str, Any]) -> None:
    from antifake.core.results import printable

    if "error" in read:
        click.echo(f"{printable(name)}: {read['error']}")
        return
    card = read["evidence"]
    click.echo(f"{printable(name)}: {_short(card)}")
    for one in card["sentences"]:
        if one["track"] != "model":
            click.echo(f"  {one['text']}")


def _short(card: dict[str, Any]) -> str:
    """Returns in a few words what the file says of AI."""
    if card["basis"] in ("signed", "marked"):
        return str(card["headline"])
    tracks = card["tracks"]
    is_mentioned = tracks["marks"]["found"] or tracks["provenance"]["says"] == "ai_part"
    return _("mentions AI") if is_mentioned else _("nothing that says AI")
