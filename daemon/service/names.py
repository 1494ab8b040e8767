# ruff: noqa: RUF001  # letters that look like others are what this is about
"""Names that programs choose for themselves. A person reads them before letting a program in."""

import re
import unicodedata

from antifake.core.errors import UsageError
from antifake.core.i18n import _

LONGEST = 80
MOST_MARKS = 2
"""Marks on one letter. Some scripts need two; more of them cover what stands above and below."""
_ANYWHERE, _ALONE = ("thiscomputer",), ("antifake", "admin", "administrator")
"""Anywhere in a name, and as the whole of it. "antifake in Chromium" is an honest name."""
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and signs without a shape, which count as printable all the same."""
_TOO_MANY_MARKS = re.compile(rf"^\u0001|\u0001{{{MOST_MARKS + 1}}}")
_WORD = re.compile(r"[^\W\d_]+")
_CYRILLIC = dict(zip("асԁеһіјӏкмнорԛгѕтуѵԝхвьпё", "acdehijikmhopqrstyvwxbbne", strict=True))
_GREEK = dict(
    zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϜαβγεικνορτυχωϲϳησϝ", "abezhikmnoptyxfabyeikvoptuxwcjnof", strict=True)
)
_LATIN = dict(zip("ıɑɡl|0134589", "iagiioieasbg", strict=True))
_LOOK_ALIKES = _CYRILLIC | {one.upper(): as_ for one, as_ in _CYRILLIC.items()} | _GREEK | _LATIN
"""Letters and digits that a reader takes for another letter of a to z."""
_SMALL_CAPITAL = re.compile("LATIN LETTER SMALL CAPITAL ([A-Z])")


def program_name(name: str) -> str:
    """Returns a name as it is shown: without widths and ligatures. Raises UsageError."""
    shown = unicodedata.normalize("NFKC", name).strip()
    if not (0 < len(shown) <= LONGEST and shown.isprintable()) or _INVISIBLE.search(name):
        raise UsageError(_("A program needs a name of 1 to 80 printable characters."))
    marks = "".join("\u0001" if unicodedata.combining(one) else one for one in shown)
    if _TOO_MANY_MARKS.search(marks):
        raise UsageError(_("There are too many marks on one letter of this name."))
    if any(len(_scripts(word)) > 1 for word in _WORD.findall(shown)):
        raise UsageError(_("A word of this name mixes letters that only look alike."))
    return shown


def is_reserved(name: str) -> bool:
    """Returns whether a person could take it for one of antifake's own names."""
    read = _as_read(name)
    return read in map(_as_read, _ALONE) or any(_as_read(own) in read for own in _ANYWHERE)


def _scripts(word: str) -> set[str]:
    """Returns those of the scripts that have the same shapes for different letters."""
    found = {unicodedata.name(one, "").partition(" ")[0] for one in word}
    return found & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}


def _as_read(name: str) -> str:
    """Returns the same for names that look alike: bare letters, without case, space or accents."""
    bare = "".join(map(_letter, unicodedata.normalize("NFKD", name))).casefold()
    letters = (_LOOK_ALIKES.get(one, one) for one in bare if one.isalnum() or one == "|")
    return "".join(letters).replace("y", "u")


def _letter(sign: str) -> str:
    capital = _SMALL_CAPITAL.fullmatch(unicodedata.name(sign, ""))
    return capital[1] if capital else _LOOK_ALIKES.get(sign, sign)
