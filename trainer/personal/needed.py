"""How many pictures a retraining takes at least. Imports no torch."""

from collections.abc import Mapping

from antifake.core.verdict import Label

MINIMUM = 10
"""So many of each class, near-duplicates counted once."""
_NAMES: dict[Label, str] = {"real": "real", "fake": "AI-made"}


def needed(pictures: Mapping[Label, int]) -> str | None:
    """Returns what is missing of the classes, in a sentence. None if nothing is.

    >>> needed({"real": 12, "fake": 9})
    '1 more AI-made picture is needed.'
    >>> needed({"real": 0, "fake": 9})
    '10 more real and 1 more AI-made pictures are needed.'
    """
    missing = {label: max(0, MINIMUM - pictures[label]) for label in _NAMES}
    parts = [f"{n} more {_NAMES[label]}" for label, n in missing.items() if n]
    if not parts:
        return None
    is_one = sum(missing.values()) == 1
    return f"{' and '.join(parts)} {'picture is' if is_one else 'pictures are'} needed."
