"""Messages in the person's language, from gettext catalogues.

English is what the code says, and what people read in whose language there is no catalogue. The
language is that of the process, by LANGUAGE, LC_ALL, LC_MESSAGES or LANG as everywhere, so a
message may be made while a module is imported. Logs, codes and JSON keys stay English.

    _("There is no folder {path}.", path=path)
    ngettext("{n:,} picture", "{n:,} pictures", n)

Placeholders are those of `str.format`. A message never is an f-string: it would not be found in a
catalogue. CONTRIBUTING.md says how a language is added.
"""

import gettext as catalogues
import json
import locale
import logging
import os
from functools import cache
from pathlib import Path
from struct import error as StructError  # noqa: N812 - an exception, named like one

DOMAIN = "antifake"
MORE_CATALOGUES = "ANTIFAKE_LOCALE"
"""Names a folder of catalogues that count before the shipped ones: a translator's, say."""
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_FROM_RIGHT = {"ar", "dv", "fa", "he", "ks", "ku", "ps", "sd", "ug", "ur", "yi"}

log = logging.getLogger(__name__)


def _(message: str, /, **values: object) -> str:
    """Returns a message in the person's language, with its placeholders filled if any are given."""
    return filled(translated(message), message, values)


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """Returns the form of a message that fits a number, which fills its placeholder `{n}`."""
    return filled(translated_plural(one, many, n), one if n == 1 else many, {"n": n} | values)


def translated(message: str) -> str:
    """Returns a message in the person's language, with its placeholders."""
    return _translations().gettext(message)


def translated_plural(one: str, many: str, n: int) -> str:
    """Returns the form of a message that fits a number, with its placeholders."""
    return _translations().ngettext(one, many, n)


def language() -> str:
    """Returns the language that messages are in, such as "en" or "pt-BR"."""
    return (_translations().info().get("language") or "en").replace("_", "-")


def is_from_right() -> bool:
    """Returns whether the language is written from right to left."""
    return language().partition("-")[0] in _FROM_RIGHT


@cache
def messages_of_scripts() -> dict[str, object]:
    """Returns the catalogue of the page's JavaScript; empty in English.

    "messages" are by their English, each a list of plural forms; "plurals" has the form for each
    number below 200, as formulas look at the last two digits.
    """
    for folder in _folders():
        for path in catalogues.find(DOMAIN, str(folder), _languages(), all=True):
            try:
                found: dict[str, object] = json.loads(Path(path).with_suffix(".json").read_bytes())
            except (OSError, ValueError) as error:
                log.warning("the catalogue of scripts beside %s is left out: %s", path, error)
            else:
                return found
    return {}


def filled(text: str, english: str, values: dict[str, object]) -> str:
    """Returns a translation with its placeholders filled, or the English if it has other ones.

    Without values it is taken as it is. Of two Markups the result is one, with escaped values.
    """
    if not values:
        return text
    try:
        return text.format(**values)
    except (LookupError, ValueError, AttributeError):
        # A slip of a translator must not cost the person the message.
        log.warning("the translation of %r has other placeholders", english)
        return english.format(**values)


@cache
def _translations() -> catalogues.NullTranslations:
    found = catalogues.NullTranslations()
    for folder in reversed(_folders()):
        try:
            one = catalogues.translation(DOMAIN, str(folder), _languages(), fallback=True)
        except (OSError, ValueError, StructError) as error:
            log.warning("the catalogue in %s is left out: %s", folder, error)
            continue
        if isinstance(one, catalogues.GNUTranslations):
            one.add_fallback(found)
            found = one
    return found


def _folders() -> list[Path]:
    """Returns the folders of catalogues, the first of which counts most."""
    shipped = Path(__file__).parent / "locale"
    chosen = os.environ.get(MORE_CATALOGUES)
    return [Path(chosen), shipped] if chosen else [shipped]


def _languages() -> list[str] | None:
    """Returns the languages to look for; None if the environment names them, as gettext knows."""
    if any(os.environ.get(name) for name in _VARIABLES):
        return None
    # Programs that a desktop starts on Windows and macOS have no such variable.
    known = locale.getlocale()[0]
    return [known] if known else []
