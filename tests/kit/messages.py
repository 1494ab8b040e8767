"""Finds all messages for people in the sources; writes and compiles their catalogues.

python -m kit.messages            core/locale/antifake.pot, and every language merged with it
python -m kit.messages FOLDER     pseudo-locales into a folder: en_XA (accents), ar_XB (from right)
"""

import ast
import gettext
import inspect
import io
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "core" / "locale"
TEMPLATE = LOCALE / "antifake.pot"
PACKAGES = ("core", "daemon", "trainer")
METHODS = [
    ("**.py", "kit.messages:extract_source"),
    ("**.html", "jinja2.ext:babel_extract"),
    ("**.js", "javascript"),
]
KEYWORDS = {name: DEFAULT_KEYWORDS[name] for name in ("_", "ngettext")}
PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_UNTOUCHED = re.compile(
    r"\{[^{}]*\}|<[^<>]*>|&#?\w+;|`[^`]*`|(?<!\w)--?[a-z][a-z-]*|\bantifake\b|\b[A-Z]{2,}s?\b|[\w./-]*\.\w+"
)
_ACCENTS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "åƀçđéƒĝĥîĵķļɱñöþǫŕšţûṽŵẋýžÅƁÇĐÉƑĜĤÎĴĶĻṀÑÖÞǪŔŠŢÛṼŴẊÝŽ",
)
_ARABIC = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz", "\u0627\u0628\u062c\u062f\u0647\u0641\u063a\u062d\u064a\u0698"
    "\u0643\u0644\u0645\u0646\u0648\u067e\u0642\u0631\u0633\u062a\u0639\u06a4\u0634\u062e\u0649\u0632"
)  # fmt: skip
_VOWELS = re.compile("[åéîöû]")

Found = tuple[int, Any, Any, Any]


def extract_source(
    file: IO[bytes], keywords: Any, comment_tags: Any, options: Any
) -> Iterator[Found]:
    """Yields the messages of a Python file; the docstring of a command is its help."""
    source = file.read()
    yield from extract_python(io.BytesIO(source), keywords, comment_tags, options)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and is_command(node) and ast.get_docstring(node):
            help_text = inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
            yield node.lineno, "_", help_text, []


def is_command(node: ast.FunctionDef) -> bool:
    """Returns whether a function is a command or a group of click's."""
    calls = [one.func for one in node.decorator_list if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Attribute) and one.attr in ("command", "group") for one in calls)


@cache
def uses() -> list[tuple[tuple[str, int], Any, list[str], str | None]]:
    """Returns place, message, comments and context of each use, in the order of files and lines.

    A message that depends on a number is a tuple.
    """
    every = []
    for package in PACKAGES:
        found = extract_from_dir(
            ROOT / package, METHODS, keywords=KEYWORDS, comment_tags=["Translators:"]
        )
        for name, line, message, comments, context in sorted(found, key=lambda one: one[:2]):
            every.append(((f"{package}/{name}", line), message, comments, context))
    return every


@cache
def extracted() -> Catalog:
    """Returns the catalogue of all messages, in the order of files and lines. Leave it as it is."""
    catalog = Catalog(project="antifake", charset="utf-8", fuzzy=False)
    for place, message, comments, context in uses():
        catalog.add(message, None, [place], auto_comments=comments, context=context)
    return catalog


def is_of_a_script(message: Any) -> bool:
    return any(name.endswith(".js") for name, _line in message.locations)


def template() -> bytes:
    """Returns the file that translations start from. It has no dates, so it changes with words."""
    out = io.BytesIO()
    write_po(out, extracted(), width=100, omit_header=False, include_lineno=False)
    text = re.sub(
        rb'^"(?!MIME|Content)[A-Z][A-Za-z-]*: [^"]*"\n',
        b"",
        out.getvalue(),
        flags=re.M,
    )
    return re.sub(rb"^# (Copyright|FIRST|Translations).*\n", b"", text, flags=re.M)


def compile_into(folder: Path, catalog: Catalog, domain: str = "antifake") -> None:
    """Writes a language's binary catalogue, and the part of it that the page's scripts need."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{domain}.mo").open("wb") as file:
        write_mo(file, catalog)
    sources = {message.id: message for message in extracted() if is_of_a_script(message)}
    messages = {}
    for message in catalog:
        if message.id and message.id in sources and message.string and not message.fuzzy:
            is_plural = isinstance(message.id, (list, tuple))
            english = message.id[0] if is_plural else message.id
            messages[english] = list(message.string) if is_plural else [message.string]
    plurals = [_plural_form(catalog, n) for n in range(200)]
    content = {"plurals": plurals, "messages": messages}
    (folder / f"{domain}.json").write_text(json.dumps(content, ensure_ascii=False, indent=0))


def _plural_form(catalog: Catalog, n: int) -> int:
    form: int = gettext.c2py(catalog.plural_expr)(n)
    return form


def pseudo(text: str, *, is_turned: bool = False) -> str:
    """Returns an English message in accents, a third longer, or in Arabic letters; values stay."""
    if text.isupper() and not PLACEHOLDER.search(text):
        return _strange(text, is_turned)  # the head of a table, not an abbreviation
    parts, at = [], 0
    for kept in _UNTOUCHED.finditer(text):
        parts += [_strange(text[at : kept.start()], is_turned), kept[0]]
        at = kept.end()
    parts.append(_strange(text[at:], is_turned))
    return "".join(parts)


def _strange(text: str, is_turned: bool) -> str:
    if is_turned:
        return text.lower().translate(_ARABIC)
    return _VOWELS.sub(lambda vowel: 2 * vowel[0], text.translate(_ACCENTS))


def write_pseudo_locales(folder: Path) -> None:
    """Writes the catalogues of en_XA and ar_XB into a folder for ANTIFAKE_LOCALE."""
    for name, is_turned in (("en_XA", False), ("ar_XB", True)):
        catalog = Catalog(locale=name, charset="utf-8", fuzzy=False)
        for message in extracted():
            if not message.id:
                continue
            ids = message.id if isinstance(message.id, (list, tuple)) else [message.id]
            strange = tuple(pseudo(one, is_turned=is_turned) for one in ids)
            catalog.add(message.id, strange if len(strange) > 1 else strange[0], message.locations)
        compile_into(folder / name / "LC_MESSAGES", catalog)


def main() -> None:
    if sys.argv[1:]:
        write_pseudo_locales(Path(sys.argv[1]))
        return
    TEMPLATE.write_bytes(template())
    for path in sorted(LOCALE.glob("*/LC_MESSAGES/antifake.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.parts[-3])
        catalog.update(extracted())
        with path.open("wb") as file:
            write_po(file, catalog, width=100, include_lineno=False)
        compile_into(path.parent, catalog)


if __name__ == "__main__":
    main()
