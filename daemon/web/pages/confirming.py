"""Asks again, before a change that deletes something, lets somebody in, or deserves a second look.

Such a change is refused (409, "confirm") with a question and a one-time confirmation, which the
page sends with the same change once the person has said yes. The confirmation is bound to the
session, the change, what it is about, and the words of the question: if anything of that is
another when the change comes again, antifake asks again.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flask import request

from antifake.core.i18n import _
from antifake.daemon.web.context import access
from antifake.daemon.web.errors import CONFIRMATION_HEADER, Problem
from antifake.daemon.web.guards import session_secret


@dataclass(frozen=True)
class Question:
    """What a person is asked. All of it is shown as text."""

    title: str
    words: Sequence[str]
    """Sentences on what will happen."""
    yes: str
    no: str
    is_danger: bool = True


def require_yes(question: Question, *about: str) -> None:
    """Raises Problem if the change is not confirmed. `about` says what it changes, as ids."""
    what = json.dumps([request.endpoint, about, asdict(question)])
    confirmations, session = access().confirmations, session_secret()
    sent = request.headers.get(CONFIRMATION_HEADER, "")
    if sent and confirmations.take(sent, session, what):
        return
    raise Problem(
        409,
        "confirm",
        _("antifake asks again before it does that."),
        confirmation=confirmations.ask(session, what),
        again=_("This was answered too late, or something has changed since.") if sent else "",
        **asdict(question),
    )
