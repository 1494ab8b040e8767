"""A personal pack carries what was learned to another computer; hostile ones are refused."""

import io
import json
import stat
import struct
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from conftest import tiny_prompt
from kit.daemon import tiny_home_in
from kit.pages import world
from kit.pictures import picture
from PIL import Image

from antifake.core.promptbook import Promptbook
from antifake.daemon.learning import pack
from antifake.daemon.learning.pack import MANIFEST, WORDS, PackError
from antifake.daemon.store import checks, corrections, crops
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHA256 = ["ab" * 32, "cd" * 32, "ef" * 32]


class Profile:
    """One user's history and versions, without a daemon."""

    def __init__(self, service, home):
        self.service, self.learning, self.home = service, service.learning, home
        self.bundle = home.bundle()
        self.book = Promptbook(home.prompts)

    @property
    def size(self):
        return self.bundle.manifest.image_size

    def learned(self, seed=2, name="personal-0001", **about):
        """Adds a version that was learned here, and puts it into use."""
        prompt = tiny_prompt(seed, base=self.bundle.manifest.fingerprint, **about)
        self.book.add(name, prompt.to_bytes())
        self.learning.versions.use(name)

    def say(self, sha256, label, days=0, *, crop=None):
        now = NOW + timedelta(days=days)
        with self.service.store.writing() as session:
            finding = Finding(
                source="api", label="real", p_fake=0.1, sha256=sha256, phash=0xF0F0F0F0
            )
            checks.add(session, finding, now)
            corrections.correct(session, [sha256], NewCorrection(label, "page", "mine"), now)
            if crop is not None:
                self.learning._place.crop_files.write(sha256, crop)
                crops.note(session, sha256, len(crop), self.size, now)

    def words(self):
        with self.service.store.reading() as session:
            return {word.sha256: word.label for word in corrections.words(session)}

    def prompts(self):
        return {name: self.book.path(name).read_bytes() for name in self.book.names()}


@contextmanager
def profile(root, source):
    home = tiny_home_in(root / "home", source)
    with world(root, home) as found:
        yield Profile(found.service, home)


@pytest.fixture
def ours(tiny_source, tmp_path):
    (tmp_path / "a").mkdir()
    with profile(tmp_path / "a", tiny_source) as found:
        yield found


@pytest.fixture
def theirs(tiny_source, tmp_path):
    (tmp_path / "b").mkdir()
    with profile(tmp_path / "b", tiny_source) as found:
        yield found


def webp(seed, size):
    buffer = io.BytesIO()
    picture(seed, size).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def files_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(files, change=lambda _: None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            change(info)
            archive.writestr(info, data)
    return out.getvalue()


def sealed(files, **about):
    """Returns a pack of these files whose manifest lists them rightly."""
    manifest = json.loads(files[MANIFEST]) | about
    rest = {name: data for name, data in files.items() if name != MANIFEST}
    manifest["files"] = {
        name: {"bytes": len(data), "sha256": pack.hashlib.sha256(data).hexdigest()}
        for name, data in rest.items()
    }
    return zipped({MANIFEST: json.dumps(manifest).encode(), **rest})


def test_a_clean_profile_answers_as_the_one_that_was_exported(ours, theirs):
    ours.learned(threshold=0.25)
    ours.service.settings.put("learning.false_alarms", 20)
    ours.say(SHA256[0], "fake", crop=webp(1, ours.size))
    ours.say(SHA256[1], "real")
    data = ours.learning.packs.save(with_crops=True)
    preview = theirs.learning.packs.preview(data, use=True)
    assert theirs.words() == {}
    assert "personal-0001" not in theirs.prompts()
    done = theirs.learning.packs.take_in(data, use=True)
    assert done == preview
    assert theirs.words() == ours.words()
    assert theirs.learning.state().version.version == ours.learning.state().version.version
    assert theirs.service.config.learning.false_alarms == 20
    there = theirs.learning._place.crop_files.path(SHA256[0]).read_bytes()
    decoded = np.asarray(Image.open(io.BytesIO(there)).convert("RGB"))
    assert (decoded == np.asarray(picture(1, ours.size))).all()
    with theirs.service.store.reading() as session:
        near = corrections.of_near_copies(session, [0xF0F0F0F0 ^ 1])
    assert near[0xF0F0F0F0 ^ 1].label in ("real", "fake")


def test_no_picture_and_no_note_is_in_a_pack_unless_it_is_asked_for(ours):
    ours.say(SHA256[0], "fake", crop=webp(1, ours.size))
    data = ours.learning.packs.save(with_crops=False)
    assert set(files_of(data)) == {MANIFEST, WORDS}
    assert b"mine" not in b"".join(files_of(data).values())
    with_crops = ours.learning.packs.save(with_crops=True)
    assert f"crops/{SHA256[0]}.webp" in files_of(with_crops)


def test_what_was_said_later_counts_on_both_sides(ours, theirs):
    ours.say(SHA256[0], "fake", days=1)
    theirs.say(SHA256[0], "real", days=0)
    ours.say(SHA256[1], "fake", days=0)
    theirs.say(SHA256[1], "real", days=1)
    ours.say(SHA256[2], "fake", days=0)
    theirs.say(SHA256[2], "fake", days=1)
    theirs.say(SHA256[2], None, days=2)  # taken back here, later
    done = theirs.learning.packs.take_in(ours.learning.packs.save(with_crops=False))
    assert (done.words_new, done.words_changed, done.words_older) == (0, 1, 2)
    assert theirs.words() == {SHA256[0]: "fake", SHA256[1]: "real"}


def test_a_version_with_a_taken_name_gets_another_and_none_is_overwritten(ours, theirs):
    ours.learned(seed=2)
    theirs.learned(seed=3)
    before = theirs.prompts()
    done = theirs.learning.packs.take_in(ours.learning.packs.save(with_crops=False), use=True)
    assert done.versions_new == ("personal-0002",)
    after = theirs.prompts()
    assert before.items() <= after.items()
    assert after["personal-0002"] == ours.prompts()["personal-0001"]
    assert theirs.learning.state().version.name == "personal-0002"
    again = theirs.learning.packs.take_in(ours.learning.packs.save(with_crops=False))
    assert (again.versions_new, again.versions_known) == ((), ("personal-0002",))


def test_a_crop_that_the_model_could_not_have_seen_is_left_out(ours, theirs):
    ours.say(SHA256[0], "fake", crop=webp(1, ours.size))
    ours.say(SHA256[1], "fake", crop=webp(2, ours.size + 1))
    ours.say(SHA256[2], "fake", crop=b"RIFF no picture at all")
    done = theirs.learning.packs.take_in(ours.learning.packs.save(with_crops=True))
    assert (done.crops, done.crops_refused) == (1, 2)
    files = theirs.learning._place.crop_files
    assert set(files.names()) == {SHA256[0]}


def with_prompt(files, data):
    return sealed({**files, "prompts/personal-0001.safetensors": data})


def with_word(files, **about):
    word = {"sha256": SHA256[0], "label": "fake", "phash": None, "said_at": NOW.isoformat()}
    return sealed({**files, WORDS: json.dumps([word | about]).encode()})


def with_tensors(data, change):
    """Returns a prompt whose header is changed."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data[8 + length :]


def not_finite(data):
    return data[:-4] + struct.pack("<f", float("nan"))


def about_of(header, **changes):
    inner = header["__metadata__"]
    inner["antifake_prompt"] = json.dumps(json.loads(inner["antifake_prompt"]) | changes)


def lying(files):
    """Returns a zip whose central directory says another length than there is."""
    data = zipped(files)
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + (7).to_bytes(4, "little") + data[at + 28 :]


def bomb(_):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(60):
            archive.writestr(f"crops/{number:064x}.webp", bytes(2_000_000))
    return out.getvalue()


def twice(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(WORDS, files[WORDS])
    return out.getvalue()


def link(info):
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def encrypted(files):
    data = bytearray(zipped(files))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


PROMPT = "prompts/personal-0001.safetensors"
HOSTILE = {
    "no zip": (lambda _: b"%PDF-1.7 nothing", "not a zip"),
    "nothing": (lambda _: b"", "not a zip"),
    "a zip that is cut short": (lambda files: zipped(files)[:-30], "not a zip"),
    "a bomb": (bomb, "unpack to more than"),
    "a file that is too long": (
        lambda files: zipped({**files, f"crops/{SHA256[0]}.webp": bytes(2_000_001)}),
        "which is too many",
    ),
    "an absolute path": (lambda files: zipped({**files, "/etc/passwd": b""}), "does not belong"),
    "a path upwards": (
        lambda files: zipped({**files, "prompts/../../x.safetensors": b""}),
        "does not belong",
    ),
    "a path of Windows": (lambda files: zipped({**files, "C:\\x": b""}), "does not belong"),
    "a folder": (lambda files: zipped({**files, "prompts/": b""}), "does not belong"),
    "a null in a name": (
        lambda files: zipped(files).replace(b"words.json", b"words\0json"),
        "does not belong",
    ),
    "a pickle": (lambda files: zipped({**files, "prompts/x.pth": b""}), "does not belong"),
    "a link": (lambda files: zipped(files, link), "a link"),
    "the same name twice": (twice, "two files"),
    "two names that some systems take for one": (
        lambda files: zipped({**files, "prompts/Personal-0001.safetensors": files[PROMPT]}),
        "two files",
    ),
    "an encrypted file": (encrypted, "encrypted"),
    "a length that is a lie": (lying, "not"),
    "a wrong hash": (
        lambda files: zipped({**files, WORDS: files[WORDS] + b" "}),
        "not what the manifest says",
    ),
    "a file that is not listed": (
        lambda files: zipped({**files, f"crops/{SHA256[2]}.webp": b"x"}),
        "does not list",
    ),
    "no manifest": (lambda files: zipped({WORDS: files[WORDS]}), "no manifest.json"),
    "a manifest nested deep": (
        lambda files: zipped({**files, MANIFEST: b"[" * 100_000}),
        "not JSON",
    ),
    "a manifest that names a key twice": (
        lambda files: zipped({**files, MANIFEST: b'{"schema": 1, "schema": 1}'}),
        "twice",
    ),
    "another schema": (lambda files: sealed(files, schema=2), "another version of antifake"),
    "another model": (lambda files: sealed(files, base="0" * 64), "was made for the model"),
    "a version that is not there": (lambda files: sealed(files, active="x"), "not in it"),
    "a budget that is too large": (lambda files: sealed(files, false_alarms=10**30), "whole"),
    "a budget that is no number": (lambda files: sealed(files, false_alarms=True), "whole"),
    "a time that cannot be": (
        lambda files: with_word(files, said_at="9999-12-31T23:59:59+00:00"),
        "a time",
    ),
    "a time that is a number": (lambda files: with_word(files, said_at=10**30), "a time"),
    "a label that is none": (lambda files: with_word(files, label="unsure"), "not a correction"),
    "a hash that is none": (lambda files: with_word(files, sha256="../x"), "not a correction"),
    "a perceptual hash that is too long": (
        lambda files: with_word(files, phash="f" * 17),
        "not a correction",
    ),
    "a word too many": (lambda files: with_word(files, more=1), "not a correction"),
    "a picture twice": (
        lambda files: sealed({**files, WORDS: json.dumps(2 * json.loads(files[WORDS])).encode()}),
        "a picture twice",
    ),
    "a number that is none": (lambda files: sealed({**files, WORDS: b"[NaN]"}), "not JSON"),
    "a crop of an unknown picture": (
        lambda files: sealed({**files, f"crops/{SHA256[2]}.webp": b"x"}),
        "says nothing about",
    ),
    "a checkpoint of PyTorch as a prompt": (
        lambda files: with_prompt(files, b"PK\x03\x04" + bytes(100)),
        "PyTorch checkpoint",
    ),
    "a pickle as a prompt": (
        lambda files: with_prompt(files, b"\x80\x04cos\nsystem\n"),
        "PyTorch checkpoint",
    ),
    "a prompt of another base": (
        lambda files: with_prompt(files, tiny_prompt(9, base="1" * 64).to_bytes()),
        "was tuned for",
    ),
    "a prompt that says no base": (
        lambda files: with_prompt(files, tiny_prompt(9).to_bytes()),
        "was tuned for",
    ),
    "a prompt of numbers that are not finite": (
        lambda files: with_prompt(files, not_finite(files[PROMPT])),
        "not finite",
    ),
    "a prompt with a tensor too many": (
        lambda files: with_prompt(
            files,
            with_tensors(files[PROMPT], lambda header: header.update(more=header["llm"])),
        ),
        "other tensors",
    ),
    "a prompt whose tensor lies outside": (
        lambda files: with_prompt(
            files,
            with_tensors(
                files[PROMPT], lambda header: header["llm"].update(data_offsets=[0, 10**15])
            ),
        ),
        "does not belong to a prompt",
    ),
    "a prompt without offsets": (
        lambda files: with_prompt(
            files,
            with_tensors(files[PROMPT], lambda header: header["llm"].pop("data_offsets")),
        ),
        "not a sound prompt",
    ),
    "a prompt with an endless threshold": (
        lambda files: with_prompt(
            files,
            with_tensors(files[PROMPT], lambda header: about_of(header, threshold=1e400)),
        ),
        "damaged",
    ),
    "a prompt with numbers that no program can read": (
        lambda files: with_prompt(
            files,
            with_tensors(files[PROMPT], lambda header: about_of(header, made={"n": 10**300})),
        ),
        "its header is damaged",
    ),
    "a prompt that is cut short": (
        lambda files: with_prompt(files, files[PROMPT][:-8]),
        "does not belong to a prompt",
    ),
}


@pytest.fixture(scope="module")
def clean(tiny_source, tmp_path_factory):
    """A profile that no hostile pack may change, and the files of an honest pack."""
    root = tmp_path_factory.mktemp("pack")
    (root / "a").mkdir()
    (root / "b").mkdir()
    with profile(root / "a", tiny_source) as ours, profile(root / "b", tiny_source) as theirs:
        ours.learned()
        ours.say(SHA256[0], "fake", crop=webp(1, ours.size))
        yield theirs, files_of(ours.learning.packs.save(with_crops=True))


@pytest.mark.attack
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pack_is_refused_in_a_sentence_and_changes_nothing(clean, kind):
    theirs, files = clean
    make, why = HOSTILE[kind]
    before = theirs.prompts(), theirs.words(), theirs.learning.state().version
    data = make(dict(files))
    for door in (theirs.learning.packs.preview, theirs.learning.packs.take_in):
        with pytest.raises(PackError) as refused:
            door(data)
        sentence = str(refused.value)
        assert sentence.startswith("This pack is refused: ")
        assert sentence.endswith(".")
        assert why in sentence
    after = theirs.prompts(), theirs.words(), theirs.learning.state().version
    assert after == before


def test_the_honest_pack_is_taken(clean):
    theirs, files = clean
    found = theirs.learning.packs.preview(zipped(files))
    assert (found.words_new, found.crops, found.versions_new) == (1, 1, ("personal-0001",))


@pytest.mark.attack
def test_a_pack_that_is_too_large_is_not_looked_into(clean):
    theirs, _ = clean
    with pytest.raises(PackError, match="at most"):
        theirs.learning.packs.preview(bytes(pack.MAX_PACK_BYTES + 1))


def test_the_same_content_makes_the_same_pack(ours):
    ours.learned()
    ours.say(SHA256[0], "fake")
    data = ours.learning.packs.save(with_crops=False)
    assert data == ours.learning.packs.save(with_crops=False)
    read = pack.read(data, ours.bundle.manifest)
    assert pack.write(replace(read)) == data
