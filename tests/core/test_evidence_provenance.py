"""Content Credentials are read in a child that fetches nothing, and that may die."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest

from antifake.core.child_process import TimeLimit
from antifake.core.evidence import provenance
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.provenance import MAX_MANIFEST_BYTES, Provenance, ProvenanceReader
from antifake.core.evidence.reading import read_marks

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def reader():
    with ProvenanceReader() as made:
        yield made


def read(reader, path):
    data = path.read_bytes()
    return reader.read(read_marks(data), lambda: data)


def test_every_signed_fixture_says_what_it_should(fixtures):
    folder, expected = fixtures
    signed = {name: one["provenance"] for name, one in expected.items() if "provenance" in one}
    assert len(signed) == 11
    authority = (folder / "authority.pem").read_text()
    for anchors, signer in (("", "unknown"), (authority, "known")):
        with ProvenanceReader(anchors=anchors) as reader:
            for name, wanted in signed.items():
                found = read(reader, folder / name)
                assert found.content == wanted["content"], name
                assert found.says == wanted.get("says"), name
                assert found.signer == (signer if wanted.get("signer") else None), name


def test_no_child_is_started_for_a_picture_without_credentials(reader, fixtures):
    folder, _ = fixtures
    assert read(reader, folder / "webui.png") == Provenance()
    assert reader._process is None


def test_the_child_imports_nothing_that_it_does_not_need():
    heavy = "{'numpy', 'torch', 'cryptography', 'requests'}"
    program = f"import sys, {provenance._CHILD}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_credentials_on_a_server_are_told_and_never_asked_for(reader):
    elsewhere = FileMarks(is_c2pa_elsewhere=True)
    assert reader.read(elsewhere, lambda: b"").content == "elsewhere"
    assert reader._process is None


def test_without_the_library_the_card_says_so(reader, fixtures, monkeypatch):
    monkeypatch.setattr(provenance, "find_spec", lambda _name: None)
    found = read(reader, fixtures[0] / "c2pa_ai.jpg")
    assert (found.why_not, found.content) == ("not_installed", "unreadable")


def test_a_manifest_that_is_too_large_is_not_read(reader):
    found = reader.read(FileMarks(n_c2pa_bytes=MAX_MANIFEST_BYTES + 1), lambda: b"")
    assert found.why_not == "too_large"
    assert reader._process is None


def test_a_file_that_was_changed_meanwhile_is_not_read(reader):
    found = reader.read(FileMarks(n_c2pa_bytes=100), lambda: None)
    assert (found.why_not, found.content) == ("crashed", "unreadable")
    assert reader._process is None


@posix
def test_a_child_that_dies_or_hangs_costs_only_this_picture(fixtures):
    path = fixtures[0] / "c2pa_ai.jpg"
    with ProvenanceReader(TimeLimit(3)) as reader:
        assert read(reader, path).content == "intact"
        os.kill(reader._process.pid, signal.SIGKILL)
        assert read(reader, path).why_not == "crashed"
        assert read(reader, path).content == "intact"
        os.kill(reader._process.pid, signal.SIGSTOP)
        assert read(reader, path).why_not == "timeout"
        assert read(reader, path).content == "intact"


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"content": "real"}, {"content": "intact", "signer": 5},
     {"content": "intact", "says": ["ai"]}, {"content": "intact", "by": "me"}],
)  # fmt: skip
def test_nonsense_from_the_child_is_a_crash(answer):
    assert provenance._checked(answer) is None


def test_names_from_a_certificate_are_inert():
    name = "<b>\x1b[31mMaker\u202e" + "x" * 500
    found = provenance._checked({"content": "intact", "name": name}).name
    assert not set("<>\x1b\u202e") & set(found)
    assert len(found) == 80


PROGRAM = """
import sys
from pathlib import Path
from antifake.core.decoder import Decoder
from antifake.core.pipeline import read_evidence

with Decoder(view="marks") as decoder:
    for result in read_evidence(decoder, [Path(sys.argv[1])]):
        print(result.evidence["tracks"]["provenance"]["content"])
"""
PLANTED = """
#include <stdio.h>
__attribute__((constructor)) void run(void) { fclose(fopen("RAN", "w")); }
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the loader of Linux")
@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_a_library_that_lies_in_the_current_folder_is_not_loaded(fixtures, tmp_path):
    planted, ran = tmp_path / "libc2pa_c.so", tmp_path / "ran"
    build = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", planted]
    subprocess.run(build, input=PLANTED.replace("RAN", str(ran)), text=True, check=True)
    (tmp_path / "libs").mkdir()
    shutil.copy(planted, tmp_path / "libs")
    named = {"LD_LIBRARY_PATH": str(tmp_path), "C2PA_LIBRARY_NAME": planted.name}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, fixtures[0] / "c2pa_ai.jpg"],
        cwd=tmp_path,
        env=os.environ | named,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "intact", done.stderr
    assert not ran.exists()


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_no_socket_of_the_internet_is_opened(fixtures, tmp_path):
    calls = tmp_path / "calls"
    traced = ["strace", "-f", "-e", "trace=network", "-o", calls, sys.executable, "-c", PROGRAM]
    done = subprocess.run([*traced, fixtures[0] / "c2pa_ai.jpg"], check=True, capture_output=True)
    assert done.stdout.strip() == b"intact"
    assert "AF_INET" not in calls.read_text()
