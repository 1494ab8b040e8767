"""What a setting would delete, or give to others, as the question before it is saved."""

from typing import Any

from antifake.core.i18n import _, ngettext
from antifake.daemon.config import ConfigError, changed
from antifake.daemon.config.settings import History
from antifake.daemon.redaction import without_password
from antifake.daemon.web.context import service

from . import wording
from .confirming import Question


def question(name: str, value: Any) -> Question | None:
    """Returns what to ask before a value is saved; None if nothing is lost by it."""
    now = service().config
    try:
        new = changed(now, name, value)
    except ConfigError:
        return None  # saving it will say what is wrong
    if new.history.database != now.history.database:
        return _elsewhere(new.history.database) if new.history.database else None
    sentences = _losses(now.history, new.history)
    if not sentences:
        return None
    return Question(
        _("Keep less than now?"),
        (*sentences, _("It cannot be undone.")),
        _("Save"),
        _("Leave it as it is"),
    )


def _losses(now: History, new: History) -> list[str]:
    """Returns what the next daily clean-up would delete that it would not delete now."""
    if new == now:
        return []
    before, after = service().to_clean_up(now), service().to_clean_up(new)
    told = []
    if (n := after.checks - before.checks) > 0:
        told.append(
            ngettext(
                "The next daily clean-up would delete {n:,} check more than now.",
                "The next daily clean-up would delete {n:,} checks more than now.",
                n,
            )
        )
    if (n := after.thumbnails - before.thumbnails) > 0:
        told.append(
            ngettext(
                "The next daily clean-up would delete {n:,} small picture more than now.",
                "The next daily clean-up would delete {n:,} small pictures more than now.",
                n,
            )
        )
    return told


def _elsewhere(address: str) -> Question:
    return Question(
        _("Keep the history in this database?"),
        (
            wording.inert(without_password(address)),
            _(
                "If it is on another computer, what the history shows goes there from the next "
                "start on, small pictures too. Save it only if you trust that computer."
            ),
        ),
        _("Save"),
        _("Leave it as it is"),
    )
