"""The command line in a pseudo-locale: no word is left in English that a translation could have.

The language is that of the process, so a process of its own runs the commands; see main.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from kit.daemon import tiny_home_in
from kit.pictures import png

from antifake.daemon import app, instance
from antifake.daemon.cli import main as antifake
from antifake.daemon.places import places
from antifake.daemon.store import checks, open_store
from antifake.daemon.store.checks import Finding

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FOUND = Finding(
    source="cli", model="mini@1", prompt="p@1", path="/a/cat.png", label="real", p_fake=0.1,
    sha256="1f3a90c2" * 8,
)  # fmt: skip
WIDE = 5_000
"""Columns of a terminal on which no help is folded or shortened."""
OF_CLICK = re.compile(
    r"^Usage: .*|^(Options|Commands):$|Show this message and exit\.|Show the version and exit\."
    r"|\[required\]|\[default: [^\]]*\]|\[[^\]]*[<>]=?[^\]]*\]",
    re.MULTILINE,
)
CODE = re.compile(
    r"`[^`]*`|'[^']*'|(?<!\w)--?[a-z][a-z-]*|\b[\d.,]+ [MG]B\b|\S*/\S*|[\w-]*(\.\w+)+|\w+@\w+"
    r"|\b\d[0-9a-z]{12}\b|\b[0-9a-f]{8,}\b|\bAI\b|\b(int8|fp16|fp32|bf16)\b"
)
"""What no translation changes: commands in quotes, options, paths, versions, sizes."""
NAMES = (
    "antifake-tray", "cli", "first", "instructblip-flan-t5-xl", "instructblip-vicuna-7b", "mini",
    "none-such", "sha256", "FLAN",
    "shipped", "source", "tiny", "CLIP", "DIR", "ID", "JSON", "PICTURE...", "SHA256", "TRAINING",
    "XDG autostart", "warning",
)  # fmt: skip
LINES = """
history
history show {id}
history --label unsure
history --since soon
history show 0000000000000
history import {folder}/none
history export {folder}/pictures/photo.png
label {id} real
label {id}
label undo {id}
label x real
check {folder}/pictures/photo.png
check --show --json {folder}/pictures/photo.png
check https://example.org/a.png
scan {folder}/pictures
scan {folder}/none
scan {folder}/pictures/photo.png
doctor
watch add {folder}/none
watch list
watch add {folder}/pictures
watch list
watch check {folder}/pictures
watch pause --hours 2
watch pause --off
watch pause --off --hours 2
watch remove {folder}/none
watch remove {folder}/pictures
config path
config get server.prot
config set server.port 80
config set history.keep_days 30
config set worker.model none-such
demo
logs show -f --json
model list
model pull none-such
model use none-such
prompt list
prompt rollback
prompt use none-such
pair list
pair pending
pair revoke
pair revoke 7
pair revoke --all
learning
learning versions
learning trainings
learning flips 7
learning contradictions 7
learning review
learning crops
learning budget 20
learning budget
learning pin
learning compare a b
learning import {folder}/none
retrain
autostart status
daemon status
daemon stop
report x
report x -o a.docx
report {folder}/none.png
privacy
evidence {folder}/pictures/photo.png
""".strip().splitlines()
ASKED = """
daemon start
daemon status
doctor
check {folder}/pictures/photo.png
history
config set history.keep_days 0
config set server.port 9123
logs level warning
watch add {folder}/pictures --check-existing
watch list
pair pending
pair accept none-such
retrain
learning cancel
report {id} -o {folder}/report.html
label {id} real
history forget --yes {id}
""".strip().splitlines()
"""With a running daemon."""


# --- In the process of its own --------------------------------------------------------------


def main() -> None:
    """Prints what is shown: help by command, then the output of each line of the input."""
    helps = {" ".join(words): shown for words, shown in every_help(antifake, ("antifake",), None)}
    lines, where = [json.loads(line) for line in sys.stdin], places()
    told = [said(words) for words in lines[: len(LINES)]]
    with instance.single_instance(where), app.started(where, lambda: None):
        told += [said(words) for words in lines[len(LINES) :]]
    print(json.dumps({"help": helps, "said": told}))


def every_help(
    command: click.Command, words: tuple[str, ...], parent: click.Context | None
) -> Iterator[tuple[tuple[str, ...], str]]:
    with click.Context(command, parent, words[-1], terminal_width=WIDE) as context:
        yield words, command.get_help(context)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                yield from every_help(command.commands[name], (*words, name), context)


def said(words: list[str]) -> str:
    done = CliRunner().invoke(antifake, words)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


# --- The tests ------------------------------------------------------------------------------


def english(text: str, *names: str) -> list[str]:
    """Returns the words that are left in English, where none of these names is one."""
    text = CODE.sub("", OF_CLICK.sub("", text))
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return re.findall("[A-Za-z]{2,}", text)


def of_help(shown: str) -> str:
    """Returns a help without the names of options and commands on its left, and of their values."""
    right = re.sub(r"^  (?=\S)(-|[a-z])\S*( .*?)??(  +|$)", "", shown, flags=re.MULTILINE)
    return re.sub(r"\b[A-Z]{2,}s?\b", "", right)


@pytest.fixture(scope="module")
def seen(tiny_source, tmp_path_factory, catalogues):
    """Everything that is shown, and the folder in which it happened."""
    folder = tmp_path_factory.mktemp("pseudo")
    tiny_home_in(folder / "home", tiny_source)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "photo.png").write_bytes(png(7))
    kept = [name for name in os.environ if name not in ("LC_ALL", "LC_MESSAGES", "DISPLAY")]
    environment = {name: os.environ[name] for name in kept} | {
        "ANTIFAKE_HOME": str(folder / "home"),
        "ANTIFAKE_LOCALE": str(catalogues),
        "HOME": str(folder),
        "LANGUAGE": "en_XA",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIFAKE_HOME", environment["ANTIFAKE_HOME"])
        where = places()
    where.make()
    with open_store(where.database, NOW) as store, store.writing() as session:
        id_ = checks.add(session, FOUND, NOW).id
    lines = [line.format(folder=folder, id=id_).split() for line in LINES + ASKED]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", "import test_commands_pseudo as t; t.main()"],
        env=environment,
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    shown = json.loads(done.stdout.splitlines()[-1])
    return shown, [*NAMES, *shown["help"], id_]


def test_no_help_has_a_word_in_english(seen):
    shown, _names = seen
    left = {name: english(of_help(text), *shown["help"]) for name, text in shown["help"].items()}
    assert {name: words for name, words in left.items() if words and "mini-gpu" not in name} == {}
    assert len(left) > 80


@pytest.mark.parametrize("at", range(len(LINES + ASKED)), ids=LINES + ASKED)
def test_no_command_says_a_word_in_english(seen, at):
    shown, names = seen
    text = shown["said"][at]
    assert text.strip()
    assert english(text, *names) == [], text


def test_english_is_noticed():
    assert english("antifake ĥåš šţöþþéđ. See `antifake --help`, or a.png.", "antifake") == [
        "See",
        "or",
    ]
    assert of_help("  --json  Print it.\n  list  Show all.\n") == "Print it.\nShow all.\n"
