"""The words and shapes of the pages: safe names, times, sources, verdicts.

The words of verdicts come from the service. Here they get a shape, so that colour is never the only
sign.
"""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from antifake.core import dates, files
from antifake.core.durations import span
from antifake.core.i18n import _, ngettext
from antifake.core.load_times import loading_words
from antifake.daemon.service import Answer, State
from antifake.daemon.service.access import SCOPES
from antifake.daemon.store.history import folder_of as folder_in
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.store.tokens import PAGES
from antifake.daemon.worker.model_process import ModelState

SHAPES = {"fake": "made", "real": "real", "unsure": "unsure", None: "unchecked"}
SOURCES = {
    "watch": _("watched folder"),
    "extension": _("browser"),
    "tray": _("tray"),
    "cli": _("command line"),
    "api": _("another program"),
    "page": _("this page"),
    "import": _("import"),
}
VERDICTS = {
    "fake": _("AI-made"),
    "unsure": _("Cannot tell"),
    "real": _("Likely real"),
    "failed": _("Not checked"),
}
MODES = {
    "ready": _("Ready"),
    "working": _("Working"),
    "paused": _("Paused"),
    "attention": _("Needs you"),
}
PHASES = {
    "asleep": _("asleep until a picture comes"),
    "loading": _("loading"),
    "ready": _("awake"),
    "broken": _("cannot be used"),
}
LONGEST_NAME = 56
_JOINERS = "\u200c\u200d"
_INERT = "\ufffd"


def inert(text: str | None) -> str:
    """Replaces each invisible character by a visible sign, so that no name deceives the user.

    These are line ends, marks that change the direction of reading, and lone surrogates.
    """
    return "".join(
        _INERT if unicodedata.category(one) in _SHAPELESS and one not in _JOINERS else one
        for one in text or ""
    )


_SHAPELESS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def short(text: str, longest: int = LONGEST_NAME) -> str:
    """Returns a text that fits. Long names lose their middle: beginning and suffix tell most."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def name_of(answer: Answer) -> str:
    """Returns the whole name of a picture, made inert."""
    check = answer.entry.check
    if check.path or check.name:
        return inert(check.shown_name) or _("a file without a name")
    if check.page:
        return _("a picture from {page}", page=inert(check.page))
    if check.source == "page":
        return _("a picture given to this page")
    return _("a picture without a name")


def size_of(answer: Answer) -> str:
    """Returns width and height of a picture; empty if they are not known."""
    check = answer.entry.check
    if not check.width:
        return ""
    return _("{width} x {height} pixels", width=check.width, height=check.height)


def place_of(seen: Occurrence) -> str:
    """Returns the folder or the page where a picture was seen; empty if neither is known."""
    return inert(folder_in(seen.path) or seen.page)


def other_names(answer: Answer) -> list[str]:
    """Returns the names under which a picture was seen besides its own, latest first."""
    found = dict.fromkeys(inert(seen.shown_name) for seen in answer.entry.occurrences)
    return [name for name in found if name and name != name_of(answer)]


def folder_of(answer: Answer) -> str | None:
    """Returns the folder of a picture for an address, so not made inert."""
    return folder_in(answer.entry.check.path)


def can_be_sent(text: str | None) -> bool:
    """Returns whether a text fits into an address. File names need not be valid text."""
    try:
        return bool(text) and bool((text or "").encode())
    except UnicodeEncodeError:
        return False


def shape(answer: Answer) -> str:
    return SHAPES[answer.shown_as]


def is_solid(answer: Answer) -> bool:
    """Returns whether the shape is filled: whoever gives the headline does not say "likely"."""
    return answer.basis == "signed" if answer.is_declared else answer.is_sure


def file_says_ai(answer: Answer) -> bool:
    """Returns whether the file itself says that AI made it, also where the user said otherwise."""
    return answer.entry.file is not None and answer.entry.file.basis != "none"


def local(moment: datetime) -> datetime:
    """Returns a time as local time."""
    return moment.astimezone()


def day_of(answer: Answer) -> date:
    """Returns the local day on which a picture was checked."""
    return local(answer.entry.check.at).date()


def time_tag(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def day_name(day: date, today: date) -> str:
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    return dates.with_weekday(day)


def when(moment: datetime) -> str:
    return dates.with_time(local(moment))


def ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return _("never")
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        return ngettext("{n} minute ago", "{n} minutes ago", minutes)
    if minutes < 1440:
        return ngettext("{n} hour ago", "{n} hours ago", minutes // 60)
    return ngettext("{n:,} day ago", "{n:,} days ago", minutes // 1440)


def megabytes(n_bytes: int) -> str:
    return files.megabytes(n_bytes)


def is_loading(state: State) -> bool:
    """Returns whether to say that the model is being loaded, rather than the mode."""
    return state.mode in ("ready", "working") and state.model.phase == "loading"


def loading(model: ModelState) -> str:
    return loading_words(model.ready_in_s)


def time_left(seconds: float) -> str:
    return span(seconds)


def scopes(granted: Iterable[str]) -> list[str]:
    """Returns what a program may do, each as the end of a sentence."""
    found, known = set(granted), SCOPES | {PAGES: _PAGES}
    told = ["admin"] if "admin" in found else [one for one in known if one in found]
    return [known[one] for one in told] + [inert(one) for one in sorted(found - set(known))]


_PAGES = _("open these pages, where everything can be changed")
