"""`antifake label`: the user's own label for a picture, which confirms or overrides the verdict."""

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.terminal import json_option, say

from .connection import connected
from .history import OLD_LABELS
from .printing import echo_json

RIGHT = "right"
WORDS = ("fake", "real", "unsure", RIGHT)


@click.command(options_metavar="[--note TEXT] [--json]")
@click.argument(
    "words", nargs=-1, required=True, metavar="ID... fake|real|unsure|right | undo ID..."
)
@click.option("--note", default="", metavar="TEXT", help=_("Your reason."))
@json_option
def label(words: tuple[str, ...], note: str, as_json: bool) -> None:
    """Label pictures, or undo the last label. The IDs are those of `antifake history`.

    `right` confirms what antifake says of each picture.
    """
    is_undo = words[0] == "undo"
    names, word = (words[1:], "") if is_undo else (words[:-1], words[-1])
    word = OLD_LABELS.get(word, word)
    if not names or (not is_undo and word not in WORDS):
        raise UsageError(
            _(
                "Say it like this: `antifake label ID real` (or fake, unsure, right), or "
                "`antifake label undo ID`."
            )
        )
    with connected() as client:
        if is_undo:
            found = client.undo(names, source="cli")
        else:
            found = client.correct(names, word, note, source="cli")
    if as_json:
        echo_json(found)
        return
    for check in found:
        say(f"{check['id']}  {check['word']}")
