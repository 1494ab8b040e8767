"""What the trainer's commands take to name pictures: paths, and what a file manager pastes."""

import json

import pytest
from kit.command_line import antifake
from kit.toy import plain_pictures, toy_pictures

pytestmark = pytest.mark.usefixtures("tiny_home")


def evaluated(*named):
    return json.loads(antifake("evaluate", *named, "--json").stdout)


def test_folders_and_tables_may_be_named_by_their_file_address(tmp_path):
    real, fake = toy_pictures(tmp_path / "100 % caf\u00e9", n=4)
    assert "%20" in real.as_uri()
    found = evaluated("--real", real.as_uri(), "--fake", fake.as_uri())
    assert (found["n_real"], found["n_fake"]) == (2, 2)
    table = plain_pictures(tmp_path / "a table", n=2)
    by_path, by_address = evaluated("--manifest", table), evaluated("--manifest", table.as_uri())
    assert by_path["n_real"] == by_address["n_real"] > 0


def test_training_and_calibration_take_them_too(tmp_path):
    real, fake = toy_pictures(tmp_path / "my toys", n=8)
    folders = ("--real", real.as_uri(), "--fake", fake.as_uri(), "-o", tmp_path / "word")
    assert "25 real and 25 AI-made" in antifake("calibrate", *folders, code=2).stderr
    assert "--full-tables" in antifake("train", *folders, "--preset", "paper", code=2).stderr


@pytest.mark.parametrize("option", ["--real", "--fake", "--manifest"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://example.org/pictures", "never fetches anything from the web"),
        ("file://nas/pictures", "is on another computer, nas,"),
    ],
)
def test_other_addresses_are_refused_as_by_other_commands(tmp_path, option, address, said):
    for command in (("evaluate",), ("calibrate", "-o", tmp_path / "word")):
        assert said in antifake(*command, option, address, code=2).stderr
