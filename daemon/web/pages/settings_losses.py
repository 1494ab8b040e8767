"""What a setting would delete, or give to others, as the question before it is saved."""

from dataclasses import replace
from typing import Any, cast, get_args, get_type_hints

from antifake.core.i18n import _, ngettext
from antifake.daemon.config.settings import History
from antifake.daemon.redaction import without_password
from antifake.daemon.web.context import service

from . import wording
from .confirming import Question


def question(name: str, value: Any) -> Question | None:
    """Returns what to ask before a value is saved; None if nothing is lost by it."""
    part, _dot, key = name.partition(".")
    if part != "history" or value == service().config.get(name):
        return None
    if key == "database":
        return _elsewhere(str(value)) if value else None
    sentences = _losses(key, value)
    if not sentences:
        return None
    return Question(
        _("Keep less than now?"),
        (*sentences, _("It cannot be undone.")),
        _("Save"),
        _("Leave it as it is"),
    )


def _losses(key: str, value: Any) -> list[str]:
    """Returns what the next daily clean-up would delete that it would not delete now."""
    _type, allowed = get_args(get_type_hints(History, include_extras=True)[key])
    if type(value) is not int or not allowed.test(value):
        return []
    now, changed = service().config.history, cast(dict[str, Any], {key: value})
    before, after = service().to_clean_up(now), service().to_clean_up(replace(now, **changed))
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
