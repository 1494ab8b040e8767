"""What `train`, `calibrate` and `evaluate` say is in the language of the person, to the last word.

They run in a pseudo-locale, in which every message has accents.
"""

import os
import re
import subprocess
from html.parser import HTMLParser

import pytest
from kit.command_line import process
from kit.messages import pseudo
from kit.pace import within
from kit.toy import plain_pictures, toy_pictures

DATA = re.compile(
    r"--[a-z-]+|\bp_fake\b|antifake( prompt (import|use))?|[\w/.-]*\.\w+|\S+@\S+|\b[A-Z]{2,}\b"
    r"|\b(made|taken)-\d+|\b(JPEG|WebP) \d+|\bb?float\d+ on \w+|`[^`]*`|\(labelled \w+\)"
)


class Words(HTMLParser):
    """Collects the text of a page, also of its drawings and for those who hear it."""

    def __init__(self):
        super().__init__()
        self.found, self._is_style = [], False

    def handle_starttag(self, tag, attrs):
        self._is_style = tag == "style"
        self.found += [value for name, value in attrs if name in ("alt", "aria-label", "title")]

    def handle_endtag(self, _tag):
        self._is_style = False

    def handle_data(self, data):
        if not self._is_style and data.strip():
            self.found.append(data)


@pytest.fixture
def said(tiny_home, catalogues):
    def run(*arguments, code=0):
        """Returns standard output and standard error, which are in the language with accents."""
        language = {"LANGUAGE": "en_XA", "ANTIFAKE_LOCALE": str(catalogues)}
        done = subprocess.run(
            process(*arguments),
            env=os.environ | language | {"PYTHONUTF8": "1", "ANTIFAKE_HOME": str(tiny_home.root)},
            capture_output=True,
            encoding="utf-8",
            timeout=within(240),
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def english(text, *data):
    for one in data:
        text = text.replace(str(one), "")
    return re.findall(r"[A-Za-z]{2,}", DATA.sub("", text))


def test_the_report_of_an_evaluation_has_no_english_word(said, tmp_path):
    table = plain_pictures(tmp_path / "pictures", n=24)
    rows = table.read_text().split()[1:]
    data = sorted({value for row in rows for value in row.split(",")[3:] if value}, key=len)
    report = tmp_path / "report.html"
    more = ("--report", report, "--robustness", "--sample", 4)
    text = said("evaluate", "--manifest", table, *more)
    assert pseudo("balanced accuracy") in text
    assert english(text, tmp_path) == []
    page = Words()
    page.feed(report.read_text(encoding="utf-8"))
    for title in ("half size", "Share AI-made in it", "Real pictures kept", "By source"):
        assert any(pseudo(title) in one for one in page.found), title
    assert [one for one in page.found if english(one, *reversed(data))] == []


def test_a_training_and_a_calibration_say_no_english_word(said, tmp_path):
    real, fake = toy_pictures(tmp_path / "toys", n=60)
    folders = ("--real", real, "--fake", fake)
    text = said("train", *folders, "--epochs", 2, "-o", tmp_path / "word")
    assert pseudo("Put it into use with") in text or pseudo("Nothing that was") in text
    assert english(text, tmp_path, "word") == [], text
    text = said("calibrate", "--real", real, "-o", tmp_path / "other", code=2)
    assert english(text, tmp_path) == []
    assert text.strip() == pseudo(
        "All pictures to calibrate on are real: some AI-made ones are needed, too."
    )
