"""Files that ask for far more than their bytes get a sentence or a verdict, within the limits."""

import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kit.bombs import bombs, with_exif, with_profile
from kit.iso_bombs import copies
from kit.iso_files import coded, grid, iso_file, overlay
from kit.pictures import picture, png, saved
from kit.profile_bombs import PROFILES, display, looped_exif

from antifake.core.decoder import MEMORY_BYTES, TIME_LIMIT, Decoded, Decoder

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
BOMBS = bombs()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(view="shown") as decoder:
        yield decoder


def pid_of(decoder: Decoder) -> int:
    (child,) = decoder._children
    return child._process.pid


def computed_s(pid: int) -> float:
    return sum(psutil.Process(pid).cpu_times()[:2])


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """Returns the most bytes that a process has had at once since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def is_answered(decoded: Decoded) -> bool:
    """Returns whether there is a picture to judge, or a sentence why there is none."""
    return decoded.picture is not None or str(decoded.error).endswith(".")


@linux
@pytest.mark.attack
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_neither_its_child_nor_the_next_picture(decoder: Decoder, name: str) -> None:
    data = BOMBS[name]()
    assert decoder.decode(png(1)).picture
    pid = pid_of(decoder)
    forget_peak(pid)
    before_s = computed_s(pid)
    decoded = decoder.decode(data)
    assert is_answered(decoded)
    assert decoded.error is None or decoded.error.code not in ("crashed", "timeout")
    assert TIME_LIMIT.cpu_s is not None
    assert computed_s(pid) - before_s < TIME_LIMIT.cpu_s
    assert peak(pid) < MEMORY_BYTES
    assert decoder.decode(png(1)).picture
    assert pid_of(decoder) == pid


FRAMES = {"save_all": True, "append_images": [picture(2), picture(3)], "duration": 50}
SOUND = {
    "JPEG": saved(picture(1), "JPEG", progressive=True),
    "JPEG with EXIF": with_exif("JPEG", looped_exif()),
    "PNG with a profile": with_profile("PNG", PROFILES["a curve of 1,900,000 entries"]()),
    "PNG, animated": saved(picture(1), "PNG", **FRAMES),
    "GIF": saved(picture(1), "GIF", **FRAMES),
    "WebP": with_profile("WEBP", display(b"curv" + bytes(8))),
    "WebP, animated": saved(picture(1), "WEBP", **FRAMES),
    "WebP, lossless": saved(picture(1).convert("RGBA"), "WEBP", lossless=True),
    "BMP": saved(picture(1).convert("P"), "BMP"),
    "ICO": saved(picture(1), "ICO", sizes=[(64, 64)]),
    "TIFF": saved(picture(1), "TIFF", compression="tiff_lzw"),
    "AVIF": with_profile("AVIF", display(b"curv" + bytes(8))),
    "AVIF, animated": saved(picture(1), "AVIF", **FRAMES),
    "AVIF of tiles": iso_file("AVIF", [*copies("AVIF", 4), grid(2, 2, 128, 128, [1, 2, 3, 4])], 5),
    "HEIC": with_exif("HEIF", looped_exif()),
    "HEIC of tiles": iso_file("HEIF", [coded("HEIF"), grid(2, 2, 128, 128, [1])], 2),
    "HEIC of layers": iso_file("HEIF", [coded("HEIF"), overlay(128, 128, [1, 1])], 2),
}
VALUES = (0, 1, 127, 128, 255)
MINUTES = float(os.environ.get("ANTIFAKE_FUZZ_MINUTES", "10"))


def changed(data: bytes, chance: random.Random) -> bytes:
    """Returns a file with a few bytes, a length or a part of it changed. Most are in its head."""
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 10])):
        at = chance.randrange(min(len(found), chance.choice([64, 600, len(found)])))
        match chance.randrange(4):
            case 0:
                found[at] = chance.choice(VALUES)
            case 1:
                found[at] = chance.randrange(256)
            case 2:
                found[at : at + 4] = bytes([chance.choice(VALUES)] * 4)
            case 3:
                part = found[at : at + chance.randrange(1, 64)]
                found[at:at] = part * chance.choice([1, 1, 50])
    return bytes(found[: chance.randrange(1, len(found))] if chance.random() < 0.1 else found)


@linux
@pytest.mark.attack
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("rounds", "seconds"),
    [(25, None), pytest.param(None, 60 * MINUTES, marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def test_changed_files_of_every_format_get_a_verdict_or_a_sentence(rounds, seconds):
    ends = None if seconds is None else time.monotonic() + seconds
    told: Counter[str] = Counter()
    largest, done = 0, 0
    with Decoder(view="shown") as decoder:
        while done != rounds and (ends is None or time.monotonic() < ends):
            for name, whole in SOUND.items():
                chance = random.Random(f"{name} {done}")  # noqa: S311 - the same in every run
                decoded = decoder.decode(changed(whole, chance))
                assert is_answered(decoded), (name, done)
                said = "a picture" if decoded.error is None else decoded.error.code
                told[said] += 1
                if said in ("crashed", "timeout", "memory", "too_much_work"):
                    print(f"{said}: {name}, round {done}")
                    assert decoder.decode(png(1)).picture
                largest = max(largest, peak(pid_of(decoder)))
            done += 1
        assert decoder.decode(png(1)).picture
    print(f"{sum(told.values()):,} files: {dict(told)}; at most {largest / 1e6:.0f} MB")
    assert largest < MEMORY_BYTES
    assert told["a picture"] > done
