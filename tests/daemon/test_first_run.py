"""The first minutes: the samples on the terminal, and the page that opens."""

import re

import pytest
from click.testing import CliRunner
from kit.command_line import antifake
from kit.daemon import mini_home_in, tiny_home_in
from kit.toy import toy_pictures
from PIL import Image

from antifake.core.catalog import Home
from antifake.core.detector import load_detector
from antifake.core.half_blocks import picture_lines
from antifake.core.samples import DREAM, shown_samples
from antifake.daemon.cli import main
from antifake.daemon.places import places
from antifake.trainer.dreaming import SIDE, dream


@pytest.fixture
def mini(mini_home, tmp_path, monkeypatch) -> Home:
    """A new home with the embedded model, and nothing else in it."""
    home = mini_home_in(tmp_path / "home", mini_home)
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    return home


@pytest.mark.usefixtures("mini")
def test_the_first_time_antifake_alone_shows_the_samples_and_where_to_go_on():
    shown = antifake()
    verdicts = re.findall(r"^(.*?) \(\d+ %\) +(\S+)$", shown.stdout, re.MULTILINE)
    assert [name for _, name in verdicts] == ["china.jpg", "flower.jpg", "dream.jpg"]
    assert verdicts[0][0] == "likely real"
    assert verdicts[2][0] == "likely AI-made"
    assert "The AI-made one was caught." in shown.stderr
    assert "antifake open" in shown.stderr
    assert not places().database.exists()


@pytest.mark.usefixtures("mini")
def test_later_it_lists_the_commands():
    places().database.parent.mkdir(exist_ok=True)
    places().database.touch()
    assert "Every day:" in antifake().stdout


def test_a_model_that_does_not_catch_it_is_not_said_to(tiny_source, tmp_path, monkeypatch):
    home = tiny_home_in(tmp_path / "home", tiny_source)
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    verdict = load_detector(home)[0].judge_file(DREAM)
    said = antifake("demo").stderr
    assert ("was caught" in said) == (verdict.label == "fake")


def test_what_is_said_of_the_samples_is_so():
    real, also_real, made = shown_samples()
    assert (real.is_ai_made, also_real.is_ai_made, made.is_ai_made) == (False, False, True)
    with Image.open(made.path) as picture:
        assert picture.size == (SIDE, SIDE)


def test_the_sample_is_made_as_its_recipe_says(tiny_source, tmp_path):
    detector, _ = load_detector(tiny_home_in(tmp_path, tiny_source))
    toy_pictures(tmp_path / "toys", n=2)
    photograph = Image.open(next((tmp_path / "toys").rglob("*.*g")))
    first, again = (dream(detector, photograph, steps=2) for _ in range(2))
    assert first.size == (SIDE, SIDE)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != dream(detector, photograph, steps=0).tobytes()


def test_a_picture_becomes_lines_of_two_pixels_a_character():
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 10, 40, 20))
    lines = picture_lines(picture, columns=8)
    assert len(lines) == 2
    assert lines[0].count("▀") == 8
    assert "38;2;255;0;0" in lines[0]
    assert "48;2;0;0;255" in lines[1]


def test_open_starts_antifake_where_it_does_not_run(tiny_source, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tiny_home_in(tmp_path / "home", tiny_source).root))
    try:
        assert antifake("open", "--print").stdout.startswith("http://127.0.0.1:")
        assert antifake("daemon", "status").stdout.startswith("state")
    finally:
        CliRunner().invoke(main, ["daemon", "stop"])
