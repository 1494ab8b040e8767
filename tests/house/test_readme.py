"""Every command that the README shows is run as it is written there, in the README's order.

Only the words that stand for something are replaced: PICTURE, A, B, `...` and so on. A command
that cannot be run here is named with the reason, and its options are looked up in its --help.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from kit.daemon import tiny_home_in
from kit.official import write_official_pth
from kit.pictures import png
from kit.threads import one_thread
from kit.tiny import LLM_WIDTH, QFORMER_WIDTH, llama_tokenizer
from kit.tiny_t5 import build_tiny_t5
from kit.toy import toy_pictures
from kit.training import tiny_trainer, toy_examples
from kit.wheels import ROOT
from transformers import InstructBlipForConditionalGeneration

from antifake.core.prepare import Source, prepare
from antifake.daemon.cli import main
from antifake.daemon.client import need
from antifake.daemon.places import places

README = (ROOT / "README.md").read_text("utf-8")
SHOWN = re.compile(r"^    ((?:antifake|accelerate|make) .*?)(?:  .*)?$", re.MULTILINE)
MENTIONED = re.compile(r"`((?:antifake|make) [a-z][^`]*)`")

NOT_RUN = {
    "make run": "installs into the checkout; this environment began with it",
    "make test": "runs this test",
    "antifake scan --engine ray SRC... -o OUT": "takes minutes: test_bulk_scan.py runs it",
    "antifake retrain --wait": "needs many corrections: test_learning_training.py has them",
    "antifake tray": "needs a screen: test_tray_daemon.py runs it on one",
    "accelerate launch -m antifake.daemon train ...": "test_train_command.py has two processes",
    "antifake model pull instructblip-vicuna-7b": "fetches 32 GB",
    "antifake model pull instructblip-flan-t5-xl": "fetches 16 GB; test_t5.py pulls a folder",
}


@dataclass(frozen=True)
class Person:
    """Somebody who types what the README shows, in a home with the tiny model."""

    home: Path
    numbers: Iterator[int] = field(default_factory=count)

    def words(self, command: str) -> list[str]:
        """Returns the words of a command, each stand-in replaced by something real."""
        labelled = "--real some/real --fake some/fake"
        if " calibrate " in command:  # it wants more pictures, and a prompt that tells them apart
            labelled = "--real many/real --fake many/fake --prompt taught.safetensors"
        new = self.home / f"new-{next(self.numbers)}.safetensors"
        stand_ins = {
            "PICTURE": str(self.home / "Pictures" / "cat.png"),
            "PICTURE...": str(self.home / "Pictures" / "cat.png"),
            "DIR": str(self.home / "Pictures"),
            "A": "some/real",
            "B": "some/fake",
            "photos": "some/real",
            "generated": "some/fake",
            "W": str(new),
            "...": f"{labelled} -o {new}" if " train " in command else labelled,
            "SRC": str(self.home / "instructblip"),
            "VICUNA": str(self.home / "vicuna"),
            "NAME": "own",
            "FULL": "full",
            "instructblip-vicuna-7b": "tiny",
            "instructblip-flan-t5-xl": "flan",
        }
        if "ID" in command.split():
            CliRunner().invoke(main, ["check", stand_ins["PICTURE"]])
            stand_ins["ID"] = need(places()).get("/checks", limit="1")["checks"][0]["id"]
        words = " ".join(stand_ins.get(word, word) for word in command.split())
        return [word.replace("~", str(self.home)) for word in shlex.split(words)]


@pytest.fixture(scope="module")
def person(tiny_source, tmp_path_factory) -> Iterator[Person]:
    home = tmp_path_factory.mktemp("person")
    tiny = tiny_home_in(home / "antifake", tiny_source)
    prepare(Source(tiny_source), tiny.models / "full", dtype="fp32", full_tables=True)
    prepare(Source(build_tiny_t5(home / "t5")), tiny.models / "flan", dtype="fp32")
    for name in ("Downloads", "Pictures"):
        (home / name).mkdir()
    (home / "Pictures" / "cat.png").write_bytes(png(1))
    toy_pictures(home / "some", n=24)
    toy_pictures(home / "many", n=50)
    tiny_trainer(tiny).train(home / "taught.safetensors", toy_examples(home / "many"))
    (home / "instructblip").symlink_to(tiny_source)
    model = InstructBlipForConditionalGeneration.from_pretrained(tiny_source)
    model.language_model.save_pretrained(home / "vicuna")
    llama_tokenizer().save_pretrained(home / "vicuna")
    sides = torch.randn(1, QFORMER_WIDTH), torch.randn(1, LLM_WIDTH)
    write_official_pth(home / "COCO_150k_SD3_SD2IP.pth", *sides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIFAKE_HOME", str(home / "antifake"))
        patch.setenv("HOME", str(home))
        patch.setenv("BROWSER", "true")
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS"):
            patch.delenv(name, raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(home)
        with one_thread():
            yield Person(home)
        CliRunner().invoke(main, ["daemon", "stop"])


def shown() -> list[str]:
    return [command.strip() for command in SHOWN.findall(README)]


@pytest.mark.parametrize("command", [one for one in shown() if one not in NOT_RUN])
def test_a_command_works_as_the_readme_shows_it(command, person):
    program, *words = person.words(command)
    assert program == "antifake"
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.exception) == (0, None), done.output


@pytest.mark.parametrize("command", [*NOT_RUN, *dict.fromkeys(MENTIONED.findall(README))])
def test_a_command_that_is_not_run_exists_with_its_options(command):
    program, *words = command.replace("accelerate launch -m antifake.daemon", "antifake").split()
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return
    names = [word for word in words if word.islower() and not word.startswith("-")]
    done = CliRunner().invoke(main, [*names[:2], "--help"])
    assert done.exit_code == 0, done.output
    for option in (word for word in words if word.startswith("-")):
        assert option in re.split(r"[\s,]+", done.output)


def test_what_is_not_run_is_still_in_the_readme():
    assert set(NOT_RUN) <= set(shown())
