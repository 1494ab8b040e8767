"""`antifake label`: the user's own label for a picture, which confirms or overrides the verdict."""

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import json_option, say

from .connection import connected
from .history import LABELS
from .printing import echo_json

RIGHT = "right"
WORDS = ("real", "ai", "unsure", RIGHT)


@click.command(options_metavar="[--note TEXT] [--json]")
@click.argument("words", nargs=-1, required=True, metavar="ID... real|ai|unsure|right | undo ID...")
@click.option("--note", default="", metavar="TEXT", help="Your reason.")
@json_option
def label(words: tuple[str, ...], note: str, as_json: bool) -> None:
    """Label pictures, or undo the last label. The IDs are those of `antifake history`.

    `right` confirms what antifake says of each picture.
    """
    is_undo = words[0] == "undo"
    names, word = (words[1:], "") if is_undo else (words[:-1], words[-1])
    if not names or (not is_undo and word not in WORDS):
        raise UsageError(
            "Say it like this: antifake label ID ai (or real, unsure, right, or undo ID)."
        )
    with connected() as client:
        if is_undo:
            found = client.undo(names, source="cli")
        else:
            found = client.correct(names, LABELS.get(word, RIGHT), note, source="cli")
    if as_json:
        echo_json(found)
        return
    for check in found:
        say(f"{check['id']}  {check['word']}")
