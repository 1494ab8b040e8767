"""How long something takes, in words."""

from .i18n import _, ngettext


def span(seconds: float) -> str:
    """Returns a time in words, such as "about 3 minutes"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("about {n} minute", "about {n} minutes", minutes)
    return ngettext("about {n} hour", "about {n} hours", round(minutes / 60))
