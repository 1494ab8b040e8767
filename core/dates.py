"""Days and times in words. strftime's names of months are those of another setting, or English."""

from datetime import date, datetime

from .i18n import _

_MONTHS = (
    _("January"),
    _("February"),
    _("March"),
    _("April"),
    _("May"),
    _("June"),
    _("July"),
    _("August"),
    _("September"),
    _("October"),
    _("November"),
    _("December"),
)
_WEEKDAYS = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)


def in_words(day: date) -> str:
    """Returns a day in words.

    >>> in_words(date(2026, 1, 31))
    '31 January 2026'
    """
    return _("{day} {month} {year}", day=day.day, month=_MONTHS[day.month - 1], year=day.year)


def with_weekday(day: date) -> str:
    """Returns a day in words, with its name.

    >>> with_weekday(date(2026, 1, 31))
    'Saturday, 31 January 2026'
    """
    return _("{weekday}, {date}", weekday=_WEEKDAYS[day.weekday()], date=in_words(day))


def with_time(moment: datetime) -> str:
    """Returns a day in words, with hours and minutes.

    >>> with_time(datetime(2026, 1, 31, 9, 5))
    '31 January 2026, 09:05'
    """
    return _("{date}, {time:%H:%M}", date=in_words(moment), time=moment)
