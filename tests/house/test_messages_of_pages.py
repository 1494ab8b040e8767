"""Every word of a template and of the page's scripts is a message that can be translated."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from jinja2 import Environment, nodes
from kit.messages import PACKAGES, ROOT

TEMPLATES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.html"))
SCRIPTS = sorted((ROOT / "daemon" / "web" / "pages" / "static").glob("*.js"))
SHOWN_ATTRIBUTES = {"title", "aria-label", "placeholder", "alt"}
CALLS = {"_", "ngettext"}
NAMES = {"antifake", "ms", "px"}
"""Words that are the same in every language."""
LETTERS = re.compile(r"[^\W\d_]{2,}")
LOOKS_SHOWN = re.compile(r"^[A-Z“][a-z\u2019]+( |$|[.,…])|[^\W\d_]{2,}[,;:.]? [^\W\d_]")
"""A capital letter, or two words."""


class Texts(HTMLParser):
    """Collects the texts of HTML that people see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in SHOWN_ATTRIBUTES]
        if tag in ("style", "script"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.found.append(data)


def words_of_markup(source: str) -> list[str]:
    """Returns the words of a template outside of its expressions."""
    data = (
        text for _line, kind, text in Environment(autoescape=True).lex(source) if kind == "data"
    )
    texts = Texts()
    texts.feed("".join(data))
    return [word for text in texts.found for word in LETTERS.findall(text) if word not in NAMES]


def literals(node: nodes.Node) -> Iterator[str]:
    """Yields the literals of a template's expressions outside of calls of messages."""
    if isinstance(node, nodes.Call) and getattr(node.node, "name", None) in CALLS:
        for value in [*node.args[2:], *node.kwargs]:
            yield from literals(value)
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    for child in node.iter_child_nodes():
        yield from literals(child)


def words_of_expressions(source: str) -> list[str]:
    tree = Environment(autoescape=True).parse(source)
    return [text for text in literals(tree) if LOOKS_SHOWN.search(text) and "=" not in text]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_word_of_a_template_is_in_a_message(path):
    source = path.read_text("utf-8")
    assert not words_of_markup(source)
    assert not words_of_expressions(source)


@pytest.mark.parametrize(
    "source",
    [
        "<p>Not yet</p>",
        "<p>{{ n }} pictures</p>",
        '<a title="Open it">{{ _("x") }}</a>',
        '<p>{{ "Yes" if n else _("No") }}</p>',
        "<p>{{ words.several(n, 'near copy') }}</p>",
        '{% set name = "the last picture" %}',
        '{{ _("In {where}", where="this folder") }}',
    ],
)
def test_a_word_outside_of_messages_is_found(source):
    assert words_of_markup(source) or words_of_expressions(source)


# --- Scripts ------------------------------------------------------------------------------

TOKENS = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<call>\b(?:_|ngettext)\()
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)""",
    re.S | re.X,
)
CODES = {"Content-Type", "Escape", "Files", "ArrowRight", "ArrowLeft", "Arrow"}
"""What browsers call keys and headers."""


def words_of_script(source: str) -> list[str]:
    """Returns the texts of a script that look as if people see them and are no messages."""
    found, is_message = [], 0
    for token in TOKENS.finditer(source):
        if token["comment"]:
            continue
        if token["call"]:
            is_message = 2 if token["call"] == "ngettext(" else 1
            continue
        text = token["text"][1:-1]
        if is_message:
            is_message -= 1
            assert not text.startswith("${"), text
        elif LOOKS_SHOWN.search(re.sub(r"\$\{.*?\}", "1", text)) and not is_code(text):
            found.append(text)
    return found


def is_code(text: str) -> bool:
    """Returns whether a text is a name of the browser, or a selector of CSS."""
    return text in CODES or bool(re.search(r"[\[#.](?![ .]|$)", text)) or text.islower()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_sentence_of_a_script_is_a_message(path):
    assert not words_of_script(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        'say("There is nothing to undo.");',
        "place.textContent = `Checking ${n} pictures`;",
        'const open = element("a", "Open"); // a comment',
        'say(ngettext("{n} left", "{n} left", n), "All of them");',
    ],
)
def test_a_sentence_outside_of_messages_is_found(source):
    assert words_of_script(source)
