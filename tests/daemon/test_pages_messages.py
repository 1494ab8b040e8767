"""The messages of templates and of the page's scripts, and where scripts get theirs from."""

import gettext
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages import Catalog
from jinja2 import Environment, StrictUndefined
from kit.messages import compile_into, extracted, is_of_a_script

from antifake.core.i18n_html import install
from antifake.daemon.web.pages import messages

NODE = Path(sys.executable).with_name("node.exe" if sys.platform == "win32" else "node")
STATIC = Path(messages.__file__).with_name("static")
POLISH = {
    "Nothing here.": "<b>Nic</b> tu nie ma.",
    "There is no <code>{path}</code>.": "Nie ma <code>{path}</code>.",
    "Look at {path}.": "Patrz: {folder}.",
    ("{n:,} file", "{n:,} files"): ("{n} plik", "{n} pliki", "{n} plików"),
}


@pytest.fixture
def polish(tmp_path):
    """Returns a function that renders a template in Polish, in a process of its own."""
    catalog = Catalog(locale="pl", charset="utf-8", fuzzy=False)
    for english, text in POLISH.items():
        catalog.add(english, text)
    compile_into(tmp_path / "pl" / "LC_MESSAGES", catalog)
    code = f"import sys; sys.path.append({str(Path(__file__).parent)!r});"
    code += "from test_pages_messages import rendered; print(rendered(sys.argv[1]))"

    def render(template: str) -> str:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", code, template],
            env=os.environ | {"LANGUAGE": "pl", "ANTIFAKE_LOCALE": str(tmp_path)},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        return done.stdout.removesuffix("\n")

    return render


def rendered(template: str, **about) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, **about)
    install(environment)
    return environment.from_string(template).render(path='<i title="x">')


PATH = "&lt;i title=&#34;x&#34;&gt;"


def test_a_message_is_markup_and_its_values_are_text():
    assert rendered("{{ _('No <b>{path}</b>', path=path) }}") == f"No <b>{PATH}</b>"
    assert rendered("{{ _('100 % {sure}') }}") == "100 % {sure}"
    assert rendered("{{ _('In {link}.', link='<a>x</a>' | safe) }}") == "In <a>x</a>."
    assert rendered('{{ ngettext("{n:,} file", "{n:,} files", 1240) }}') == "1,240 files"
    assert rendered('{{ ngettext("{n} in {path}", "", 1, path=path) }}') == f"1 in {PATH}"


def test_values_of_messages_are_shown_as_other_values():
    upper = {"finalize": lambda value: value.upper() if isinstance(value, str) else value}
    assert rendered("{{ _('Of {a} and {n}', a='x', n=2) }}", **upper) == "OF X AND 2"


def test_templates_are_in_the_language_of_the_person(polish):
    assert polish("{{ language() }} {{ is_from_right() }}") == "pl False"
    assert polish("{{ _('Nothing here.') }}") == "<b>Nic</b> tu nie ma."
    assert polish("{{ _('There is no <code>{path}</code>.', path=path) }}") == (
        f"Nie ma <code>{PATH}</code>."
    )
    assert polish('{{ ngettext("{n:,} file", "{n:,} files", 3) }}') == "3 pliki"
    assert polish("{{ _('Look at {path}.', path=path) }}") == f"Look at {PATH}."


# --- Scripts ------------------------------------------------------------------------------


SCRIPT = """
import { _, ngettext } from "./i18n.js";
const said = [_("Undo"), _("Checking {done} of {total}", { done: 2, total: 5 })];
said.push(_("To {place}", { place: "$& {x} <b>" }), _("Not translated {x}", { x: 0 }));
for (const n of [0, 1, 2, 5, 112, 122, 1240])
  said.push(ngettext("{n} selected", "{n} selected", n));
console.log(JSON.stringify(said));
"""


def test_scripts_fill_placeholders_and_choose_plurals_as_the_server_does(tmp_path):
    form = gettext.c2py(Catalog(locale="pl").plural_expr)
    known = {
        "Undo": ["Cofnij"],
        "To {place}": ["Do {place}"],
        "Checking {done} of {total}": ["Sprawdzam {nr}"],
        "{n} selected": ["jeden", "{n} wybrane", "{n} wybranych"],
    }
    made = {"messages": known, "plurals": [form(n) for n in range(200)]}
    text = "".join(f"export const {name} = {json.dumps(made[name])};\n" for name in made)
    assert run(tmp_path, text) == [
        "Cofnij", "Checking 2 of 5", "Do $& {x} <b>", "Not translated 0", "0 wybranych", "jeden",
        "2 wybrane", "5 wybranych", "112 wybranych", "122 wybrane", "1240 wybranych",
    ]  # fmt: skip


def test_without_a_catalogue_scripts_speak_english(tmp_path, stranger):
    answer = stranger.get("/assets/messages.js")
    assert run(tmp_path, answer.text)[:5] == [
        "Undo", "Checking 2 of 5", "To $& {x} <b>", "Not translated 0", "0 selected",
    ]  # fmt: skip


def run(folder: Path, catalogue: str) -> list[str]:
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "messages.js").write_text(catalogue, "utf-8")
    (folder / "i18n.js").write_bytes((STATIC / "i18n.js").read_bytes())
    (folder / "main.js").write_text(SCRIPT)
    said = subprocess.run([NODE, folder / "main.js"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(said)


def test_the_catalogue_of_scripts_is_as_open_as_the_scripts_and_checked_for_news(stranger):
    answer = stranger.get("/assets/messages.js")
    assert answer.status_code == 200
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = stranger.get("/assets/messages.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    from_web = stranger.get("/assets/messages.js", headers={"Sec-Fetch-Site": "cross-site"})
    assert from_web.status_code == 403


def test_the_messages_of_scripts_are_found():
    found = {one.id for one in extracted() if one.id and is_of_a_script(one)}
    assert {"Undo", "Saved.", ("Seen {n} time.", "Seen {n} times.")} <= found
