"""Reads the extension's words and where its code uses them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from kit.extension_zips import EXTENSION

LANGUAGES = ("en", "de")
LOOK_UP = [EXTENSION / "lib" / "words.js", EXTENSION / "content" / "words.js"]
"""The modules that look keys up, which make all kinds of keys from parts."""
CALLS = ("words", "say", "count", "getMessage")
"""Functions whose first argument is a key."""

Messages = dict[str, dict[str, Any]]

_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<text> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<template> `(?:\\.|[^`\\])*` )
    | (?P<regex> (?:(?<=[(,=:\[!&|?{};+\n])|(?<=return)|(?<==>))\s*
        /(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_CALL = re.compile(rf"\b({'|'.join(CALLS)})\(\s*\Z")
PLACEHOLDER = re.compile(r"\$(\d|[A-Za-z_]+\$)")


@dataclass(frozen=True)
class Literal:
    """A text in the code."""

    file: str
    text: str
    before: str
    """What stands before it in the code."""
    is_template: bool = False

    @property
    def call(self) -> str | None:
        """Returns the function that takes a key of which this is the first argument."""
        found = _CALL.search(self.before)
        return found[1] if found else None

    @property
    def pattern(self) -> re.Pattern[str]:
        """Returns what a template can become; its parts are numbers or words."""
        fixed = _PART.split(self.text) if self.is_template else [self.text]
        return re.compile(r"\w*".join(re.escape(part) for part in fixed))


def messages(language: str) -> Messages:
    read: Messages = json.loads((EXTENSION / "_locales" / language / "messages.json").read_text())
    return read


def places_of(message: dict[str, Any]) -> set[str]:
    """Returns the placeholders in a text: $1, or the content of a named one."""
    named = {name.lower(): one["content"] for name, one in message.get("placeholders", {}).items()}
    found = PLACEHOLDER.findall(message["message"])
    return {f"${one}" if one.isdigit() else named[one.rstrip("$").lower()] for one in found}


def literals() -> list[Literal]:
    return [
        one
        for path in sorted(EXTENSION.rglob("*.js"))
        for one in literals_in(path)
        if not (one.is_template and path in LOOK_UP)
    ]


def literals_in(path: Path) -> Iterator[Literal]:
    source = path.read_text("utf-8")
    name = path.relative_to(EXTENSION).as_posix()
    for found in _TOKEN.finditer(source):
        if found.lastgroup in ("text", "template"):
            before = source[max(0, found.start() - 60) : found.start()]
            is_template = found.lastgroup == "template"
            yield Literal(name, found.group()[1:-1], before, is_template)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("data-words", "data-label"):
                self.keys.add(value or "")
            elif name in ("alt", "title", "placeholder", "aria-label", "value", "content"):
                is_for_people = not (tag == "meta" or (tag == "input" and name == "value"))
                self.texts += [value] if value and is_for_people else []

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


def html_pages() -> dict[str, _Page]:
    """Returns the keys and the texts of each page."""
    found = {}
    for path in sorted(EXTENSION.rglob("*.html")):
        found[path.relative_to(EXTENSION).as_posix()] = page = _Page()
        page.feed(path.read_text("utf-8"))
    return found


def manifest_keys() -> set[str]:
    return set(re.findall(r"__MSG_(\w+)__", (EXTENSION / "manifest.json").read_text("utf-8")))
