"""Patterns of file names: one meaning for scans and for watched folders. Reads no disk.

A pattern without / matches a name at any depth: "*.png". A pattern with / matches the whole path
below the folder: * matches within a name, ** any number of names: "private/**". Braces hold
alternatives: "*.{png,gif}". If a folder is excluded, everything below it is excluded, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice

from .errors import UsageError
from .i18n import _

_ANY = "**"
MAX_ALTERNATIVES = 1000
_MAX_BRACES = 40

Names = Sequence[str]
"""A path below the folder, split into names; empty for the folder itself."""
Pattern = tuple[str, ...]


def include_patterns(texts: Iterable[str]) -> tuple[Pattern, ...]:
    """Returns what files to take. Raises UsageError."""
    return tuple(_include(one) for text in texts for one in alternatives(text))


def exclude_patterns(texts: Iterable[str]) -> tuple[Pattern, ...]:
    """Returns what files and folders to leave out. Raises UsageError."""
    return tuple(_exclude(one) for text in texts for one in alternatives(text))


def alternatives(text: str) -> list[str]:
    """Returns every pattern that braces stand for, as in shells. Raises UsageError if too many.

    >>> alternatives("{a,b/*}.{png,gif}")
    ['a.png', 'a.gif', 'b/*.png', 'b/*.gif']
    >>> alternatives("{a}.png"), alternatives("[{]a,b}"), alternatives("{a,b")
    (['{a}.png'], ['[{]a,b}'], ['{a,b'])
    """
    found = [] if text.count("{") > _MAX_BRACES else list(islice(_expanded(text), 1001))
    if not 0 < len(found) <= MAX_ALTERNATIVES:
        raise UsageError(
            _(
                "The pattern {pattern} stands for too many others; {most:,} are the limit.",
                pattern=text,
                most=MAX_ALTERNATIVES,
            )
        )
    return found


def matches(names: Names, pattern: Pattern) -> bool:
    """Matches name by name, keeping every position in the pattern that is possible so far."""
    at = _skip_any({0}, pattern)
    for name in names:
        here = {p for p in at if p < len(pattern) and _matches_part(name, pattern[p])}
        at = _skip_any({p if pattern[p] == _ANY else p + 1 for p in here}, pattern)
    return len(pattern) in at


def _expanded(text: str) -> Iterator[str]:
    group = _first_group(text)
    if group is None:
        yield text
        return
    start, parts, end = group
    for part in parts:
        yield from (text[:start] + one for one in _expanded(part + text[end:]))


def _first_group(text: str) -> tuple[int, list[str], int] | None:
    """Returns start, alternatives and end of the first braces that hold a comma."""
    for start, letter in enumerate(text):
        if letter == "{" and not _is_in_brackets(text, start):
            parts, end = _alternatives_from(text, start + 1)
            if len(parts) > 1:
                return start, parts, end
    return None


def _alternatives_from(text: str, begin: int) -> tuple[list[str], int]:
    """Returns what commas separate up to the closing brace, and its end; nothing without one."""
    parts, depth = [], 0
    for at in range(begin, len(text)):
        letter = text[at]
        if letter not in "{,}" or _is_in_brackets(text, at):
            continue
        if depth == 0 and letter in ",}":
            parts.append(text[begin:at])
            begin = at + 1
            if letter == "}":
                return parts, begin
        depth += {"{": 1, "}": -1}.get(letter, 0)
    return [], begin


def _is_in_brackets(text: str, at: int) -> bool:
    opened = text.rfind("[", 0, at)
    closed = text.find("]", opened + 2)
    return opened >= 0 and closed > at


def _include(text: str) -> Pattern:
    pattern = _split(text)
    # "holiday/**" means what is in holiday, not a file of that name.
    return (*pattern, "*") if pattern[-1] == _ANY else pattern


def _exclude(text: str) -> Pattern:
    pattern = _split(text)
    # If everything in a folder is excluded, the folder itself is: it is not entered.
    return pattern[:-1] if len(pattern) > 1 and pattern[-1] == _ANY else pattern


def _split(text: str) -> Pattern:
    names = [name for name in text.split("/") if name not in ("", ".")] or [_ANY]
    if text.endswith("/"):
        names.append(_ANY)
    if "/" not in text:
        names.insert(0, _ANY)
    # Two ** in a row mean the same as one.
    doubled = (name == _ANY and n > 0 and names[n - 1] == _ANY for n, name in enumerate(names))
    return tuple(name for name, again in zip(names, doubled, strict=True) if not again)


def _matches_part(name: str, part: str) -> bool:
    return part == _ANY or fnmatch(name, part)


def _skip_any(at: set[int], pattern: Pattern) -> set[int]:
    """Adds the positions after each **, which also matches no name at all."""
    return at | {p + 1 for p in at if p < len(pattern) and pattern[p] == _ANY}
