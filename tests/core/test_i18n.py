"""Messages are in the person's language where there is a catalogue, and in English elsewhere."""

import os
import subprocess
import sys

import pytest
from babel.messages import Catalog
from kit.messages import compile_into

PROGRAM = """
from antifake.core.i18n import _, is_from_right, language, messages_of_scripts, ngettext
print(_("Stopped."))
print(_("There is no folder {path}.", path="<p>{x}</p>"))
for n in (0, 1, 2, 5, 1240):
    print(ngettext("{n:,} picture", "{n:,} pictures", n))
print(language(), is_from_right(), messages_of_scripts())
"""


def said(folder, code=PROGRAM, **environment):
    names = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", "ANTIFAKE_LOCALE")
    own = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        env=own | {"ANTIFAKE_LOCALE": str(folder)} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    polish = Catalog(locale="pl", charset="utf-8", fuzzy=False)
    polish.add("Stopped.", "Zatrzymano.")
    polish.add("There is no folder {path}.", "Nie ma folderu {path}.")
    polish.add(("{n:,} picture", "{n:,} pictures"), ("{n} obraz", "{n} obrazy", "{n} obrazów"))
    compile_into(tmp_path / "pl" / "LC_MESSAGES", polish)
    hebrew = Catalog(locale="he", charset="utf-8", fuzzy=False)
    hebrew.add("Stopped.", "נעצר.")
    hebrew.add("There is no folder {path}.", "אין תיקייה {folder}.")
    compile_into(tmp_path / "he" / "LC_MESSAGES", hebrew)
    return tmp_path


@pytest.mark.parametrize("name", ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"])
def test_the_environment_says_which_language(folder, name):
    lines = said(folder, **{name: "pl_PL.UTF-8"})
    assert lines[:2] == ["Zatrzymano.", "Nie ma folderu <p>{x}</p>."]


def test_plurals_follow_the_rules_of_the_language(folder):
    lines = said(folder, LANGUAGE="pl")
    assert lines[2:7] == ["0 obrazów", "1 obraz", "2 obrazy", "5 obrazów", "1240 obrazów"]


def test_english_is_what_the_code_says(folder):
    lines = said(folder, LANG="en_GB.UTF-8")
    assert lines[:3] == ["Stopped.", "There is no folder <p>{x}</p>.", "0 pictures"]
    assert lines[3:7] == ["1 picture", "2 pictures", "5 pictures", "1,240 pictures"]
    assert lines[7] == "en False {}"


def test_a_language_without_a_catalogue_falls_back_to_the_next_and_to_english(folder):
    assert said(folder, LANGUAGE="xx:pl")[0] == "Zatrzymano."
    assert said(folder, LANGUAGE="xx")[0] == "Stopped."


def test_a_wrong_placeholder_of_a_translator_costs_nothing(folder):
    lines = said(folder, LANGUAGE="he")
    assert lines[:2] == ["נעצר.", "There is no folder <p>{x}</p>."]
    assert lines[7].startswith("he True")


@pytest.mark.parametrize("content", [b"", b"no catalogue", b"\xde\x12\x04\x95" + b"\xff" * 40])
def test_a_damaged_catalogue_is_left_out(folder, content):
    for suffix in ("mo", "json"):
        (folder / "pl" / "LC_MESSAGES" / f"antifake.{suffix}").write_bytes(content)
    assert said(folder, LANGUAGE="pl")[0] == "Stopped."


def test_help_of_commands_is_in_the_language(folder):
    catalog = Catalog(locale="pl", charset="utf-8", fuzzy=False)
    catalog.add("The models that judge.", "Modele.")
    compile_into(folder / "pl" / "LC_MESSAGES", catalog)
    code = "from antifake.daemon.cli import main; main(['model', '--help'], standalone_mode=False)"
    assert "  Modele." in said(folder, code, LANGUAGE="pl")
