"""How many pictures a retraining takes at least. Imports no torch."""

from collections.abc import Mapping

from antifake.core.i18n import _, ngettext
from antifake.core.verdict import Label

MINIMUM = 10
"""So many of each class, near-duplicates counted once."""


def needed(pictures: Mapping[Label, int]) -> str | None:
    """Returns what is missing of the classes, in a sentence. None if nothing is.

    >>> needed({"real": 12, "fake": 9})
    '1 more AI-made picture is needed.'
    >>> needed({"real": 0, "fake": 9})
    '10 more real and 1 more AI-made pictures are needed.'
    """
    real, fake = max(0, MINIMUM - pictures["real"]), max(0, MINIMUM - pictures["fake"])
    if real and fake:
        return _(
            "{real} more real and {fake} more AI-made pictures are needed.", real=real, fake=fake
        )
    if real:
        return ngettext(
            "{n} more real picture is needed.", "{n} more real pictures are needed.", real
        )
    if fake:
        return ngettext(
            "{n} more AI-made picture is needed.", "{n} more AI-made pictures are needed.", fake
        )
    return None
