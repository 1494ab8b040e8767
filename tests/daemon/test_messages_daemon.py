"""What API and service say is in the language of the person, to the last word."""

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from kit.messages import pseudo
from kit.pages import PORT, world

from antifake.core.catalog import Home
from antifake.daemon import report
from antifake.daemon.service import Answer
from antifake.daemon.web.pages import wording
from antifake.daemon.web.pages.settings_words import HINTS, TITLES

PROGRAM = """
import json, sys
from test_messages_daemon import told
print(json.dumps(told(*sys.argv[1:])))
"""
VALUES = re.compile(
    r"\b(antifake|mini@1f3a90c2|shipped@77aa01b2|image/jpeg|application/json|read|admin)\b"
)


def told(folder: str, home: str) -> dict[str, list[str]]:
    """Returns what is said to people in the language of this process, by the part that says it."""
    with world(Path(folder), Home(Path(home))) as here:
        answers = [Answer(here.service.get(_added(here, label)).entry) for label in LABELS]
        for label in ("fake", "real", "unsure"):
            name = here.add(f"{label}.jpg").id
            answers += here.service.correct([name], label, "page")
        client = here.app().test_client()
        return {
            "errors of the API": _errors(here, client, answers[0].id),
            "verdicts": [text for one in answers for text in (one.summary, *one.explanation)],
            "settings": [*TITLES.values(), *HINTS.values()],
            "dates": [wording.when(datetime(2026, month, 1).astimezone()) for month in MONTHS],
            "report": _report(here, answers[3].id),
        }


LABELS = ("fake", "real", "unsure", None)
MONTHS = range(1, 13)


def _added(here, label) -> str:
    about = {"p_fake": None} if label is None else {}
    return here.add("a.jpg", label=label, **about).id


def _errors(here, client, name: str) -> list[str]:
    _token, secret = here.access.issue("a program", ["check"])
    head = {"Host": f"127.0.0.1:{PORT}"}
    known = head | {"Authorization": f"Bearer {secret}"}
    path = f"/api/v1/checks/{name}"
    answers = [
        client.get(path, headers=head),
        client.get("/api/v1/checks/0000000000000", headers=known),
        client.get("/api/v1/stats", headers=known),
        client.get("/api/v1/nowhere", headers=known),
        client.put(f"{path}/label", headers=known | {"Content-Type": "image/jpeg"}, data=b"x"),
        client.get(path, headers=head | {"Origin": "https://example.org"}),
    ]
    assert [one.status_code for one in answers] == [401, 404, 403, 404, 415, 403]
    return [json.loads(one.data)["detail"] for one in answers]


def _report(here, name: str) -> list[str]:
    found = report.content.of(here.service, name, here.service.clock(), with_name=False)
    texts = [found.verdict, found.picture_words, found.made]
    for section in found.sections:
        texts += [section.title, *section.sentences, *(key for key, _value in section.facts)]
    return texts


def in_language(name: str, catalogues: Path, folder: Path, home: Home) -> dict[str, list[str]]:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", PROGRAM, str(folder), str(home.root)],
        env=os.environ
        | {"LANGUAGE": name, "ANTIFAKE_LOCALE": str(catalogues)}
        | {"PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, *kit_path())))},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(done.stdout)


def kit_path() -> list[Path]:
    return [Path(__file__).parents[1]]


@pytest.fixture(scope="module")
def said(home, tmp_path_factory, catalogues):
    """What is said in English, and with accents."""
    folder = tmp_path_factory.mktemp("said")
    return {name: in_language(name, catalogues, folder / name, home) for name in ("en", "en_XA")}


def test_errors_of_the_api_are_in_the_language_of_the_person(said):
    assert said["en"]["errors of the API"][0] == "This needs a token."
    assert said["en_XA"]["errors of the API"][0] == pseudo("This needs a token.")


def test_a_verdict_is_explained_in_the_language_of_the_person(said):
    sentence = "That proves nothing: newer generators leave fewer signs."
    assert sentence in said["en"]["verdicts"]
    assert pseudo(sentence) in said["en_XA"]["verdicts"]


def test_dates_have_the_names_of_months_of_the_language(said):
    assert said["en"]["dates"][4] == "1 May 2026, 00:00"
    assert said["en_XA"]["dates"][4] == f"1 {pseudo('May')} 2026, 00:00"


def test_no_word_is_left_in_english(said):
    for part, texts in said["en_XA"].items():
        for text, english in zip(texts, said["en"][part], strict=True):
            left = re.findall(r"\b[a-z]{2,}\b", VALUES.sub("", text))
            assert not left, f"{part}: {text} ({english})"
