"""Reads the filter of the history from an address, and writes it into one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from antifake.core.i18n import _
from antifake.daemon.store.history import Filter
from antifake.daemon.store.ordering import Sort
from antifake.daemon.web.errors import Problem

from .wording import SOURCES, VERDICTS, inert, short

FIELDS = (
    "q",
    "verdict",
    "source",
    "corrected",
    "declared",
    "folder",
    "model",
    "since",
    "until",
    "near",
)
SORTS: dict[Sort, str] = {
    "newest": _("Newest first"),
    "oldest": _("Oldest first"),
    "surest": _("Surest first"),
    "unsure": _("Least sure first"),
}
CORRECTED = {"yes": _("You said what it is"), "no": _("You said nothing yet")}
DECLARED = {
    "yes": _("The file says that AI made it"),
    "no": _("The file does not say that AI made it"),
}
_LONGEST = 4_096


@dataclass(frozen=True)
class Chip:
    """One condition of the filter in words, and the filter without it."""

    words: str
    rest: dict[str, str]


@dataclass(frozen=True)
class HistoryQuery:
    """The filter of the history as the user typed it."""

    values: dict[str, str]
    after: str | None
    """Where the previous page ends."""
    sort: Sort = "newest"

    @classmethod
    def of(cls, args: Mapping[str, str]) -> "HistoryQuery":
        typed = {name: args.get(name, "").strip()[:_LONGEST] for name in FIELDS}
        sort = args.get("sort", "") or "newest"
        if sort not in SORTS:
            raise Problem(400, "bad_request", not_one_of("sort", SORTS, sort))
        given = {k: v for k, v in typed.items() if v}
        return cls(given, args.get("after") or None, sort)

    def filter(self) -> Filter:
        """Returns the parsed filter. Raises Problem."""
        since, until = self._day("since"), self._day("until")
        return Filter(
            label=self._one_of("verdict", VERDICTS),  # type: ignore[arg-type]
            source=self._one_of("source", SOURCES),  # type: ignore[arg-type]
            since=_midnight(since) if since else None,
            until=_midnight(until + timedelta(days=1)) if until else None,
            corrected=self._yes_or_no("corrected", CORRECTED),
            declared=self._yes_or_no("declared", DECLARED),
            text=self.values.get("q", ""),
            folder=self.values.get("folder", ""),
            model=self.values.get("model", ""),
            near=self.values.get("near", ""),
        )

    @property
    def address(self) -> dict[str, str]:
        """The filter and the order, for an address."""
        return self.values | ({} if self.sort == "newest" else {"sort": self.sort})

    @property
    def encoded(self) -> str:
        """The same as the query of an address."""
        return urlencode(self.address)

    def chips(self) -> list[Chip]:
        return [
            Chip(self._words(name), self.but(**{name: ""}))
            for name in FIELDS
            if name in self.values
        ]

    def but(self, **other: str) -> dict[str, str]:
        """Returns filter and order with other values; "" removes a condition."""
        return {k: v for k, v in (self.address | other).items() if v}

    @property
    def is_by_time(self) -> bool:
        return self.sort in ("newest", "oldest")

    @property
    def is_special(self) -> bool:
        """Returns whether a condition is set that the first line of the form does not show."""
        return bool(self.values.keys() - {"q", "verdict", "declared", "near"})

    def _words(self, name: str) -> str:
        value = short(inert(self.values[name]))
        return {
            "q": _("Name has “{text}”", text=value),
            "verdict": _("The model says: {verdict}", verdict=VERDICTS.get(value, value)),
            "source": _("From: {source}", source=SOURCES.get(value, value)),
            "corrected": CORRECTED.get(value, value),
            "declared": DECLARED.get(value, value),
            "folder": _("In {folder}", folder=value),
            "model": _("Judged by {model}", model=value),
            "since": _("From {date}", date=value),
            "until": _("Until {date}", date=value),
            "near": _("Near-copies of one picture"),
        }[name]

    def _yes_or_no(self, name: str, known: Mapping[str, str]) -> bool | None:
        found = self._one_of(name, known)
        return None if found is None else found == "yes"

    def _one_of(self, name: str, known: Mapping[str, str]) -> str | None:
        value = self.values.get(name)
        if value is not None and value not in known:
            raise Problem(400, "bad_request", not_one_of(name, known, value))
        return value

    def _day(self, name: str) -> date | None:
        if not (typed := self.values.get(name)):
            return None
        try:
            day = date.fromisoformat(typed)
        except ValueError:
            day = date.min
        if not 1970 < day.year < 9000:
            raise Problem(
                400, "bad_request", _("{text} is not a day like 2026-01-31.", text=typed[:40])
            )
        return day


def not_one_of(name: str, known: Iterable[str], value: str) -> str:
    """Returns a sentence on a value that is none of those known."""
    values = ", ".join(known)
    return _("{name} can be {values}, not {value}.", name=name, values=values, value=value[:40])


def _midnight(day: date) -> datetime:
    """Returns the start of a day in local time."""
    return datetime.combine(day, time.min).astimezone()
