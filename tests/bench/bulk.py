"""Measures `scan --engine ray` beside a plain scan, and its memory: python -m tests.bench.bulk.

It uses the active model of ANTIFAKE_HOME: with `mini`, 5,000 pictures take two cores without
bfloat16 an hour and a quarter. Start-up is the time of a scan of a few pictures, and is taken off.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for kit, as pytest does

from kit.bulk import finished, ray_scan
from kit.command_line import process
from kit.daemon import tiny_home_in
from kit.tiny import build_tiny
from kit.toy import toy_pictures

from .daemon import fresh
from .measure import row, seconds

PICTURES = 5_000
A_FEW = 16
SMALL_PICTURES = 20_000


def squares(folder: Path, pictures: int) -> Path:
    """Writes square pictures, each of one part, and no two of them the same."""
    folder.mkdir()
    for number, data in zip(range(pictures), fresh(1), strict=False):
        (folder / f"{number:06}.jpg").write_bytes(data)
    return folder


@dataclass
class Scans:
    """Scans of the command line, each in a process of its own."""

    folder: Path
    _numbers: count = field(default_factory=count)

    def plain(self, pictures: Path) -> float:
        """Returns the seconds of a scan, start and end included."""
        return self._run("--jsonl", "-o", self._out(), pictures)

    def by_ray(self, pictures: Path, *options: object) -> float:
        return self._run("--engine", "ray", "-o", self._out(), *options, pictures)

    def _out(self) -> Path:
        return self.folder / f"out{next(self._numbers)}"

    def _run(self, *arguments: object) -> float:
        command = process("scan", *arguments)
        return seconds(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL))


def overhead(root: Path, pictures: int) -> None:
    """Measures one detector of all cores. The plain scan is made in two halves, around Ray's."""
    scans = Scans(root)
    few = squares(root / "few", A_FEW)
    half, whole = squares(root / "half", pictures // 2), squares(root / "whole", pictures)
    starts = [(scans.plain(few), scans.by_ray(few))]
    first = scans.plain(half)
    ray = scans.by_ray(whole)
    second = scans.plain(half)
    starts.append((scans.plain(few), scans.by_ray(few)))
    plain_start, ray_start = (sum(times) / len(times) for times in zip(*starts, strict=True))
    row(f"a scan of {A_FEW} by Ray", ray_start, "a plain one", plain_start)
    row(f"{pictures} pictures by Ray, start-up and all", ray, "plain", first + second - plain_start)
    plain_each = (first + second - 2 * plain_start) / (2 * (pictures // 2) - 2 * A_FEW)
    ray_each = (ray - ray_start) / (pictures - A_FEW)
    row(f"each of {pictures} by Ray", ray_each, "plain", plain_each, "aim <= 1.15")
    print(f"    the plain halves took {first:.0f} and {second:.0f} s")


def two_detectors(root: Path, pictures: int) -> None:
    """Measures two detectors of half the cores each beside one of all, on a tenth of them."""
    scans, pictures = Scans(root), max(pictures // 10, 4 * A_FEW)
    few, many = squares(root / "few", A_FEW), squares(root / "many", pictures)
    two = "--detectors", 2
    starts = scans.plain(few), scans.by_ray(few), scans.by_ray(few, *two)
    times = scans.plain(many), scans.by_ray(many), scans.by_ray(many, *two)
    plain, one, both = (
        (time_s - start) / (pictures - A_FEW) for time_s, start in zip(times, starts, strict=True)
    )
    row(f"each of {pictures}, two detectors by Ray", both, "plain", plain)
    row(f"each of {pictures}, two detectors by Ray", both, "one detector by Ray", one)


def memory(root: Path, _pictures: int) -> None:
    """Measures the process of the command while small pictures are judged by a tiny model."""
    home = tiny_home_in(root / "home", build_tiny(root / "tiny"))
    toy_pictures(root / "small", SMALL_PICTURES)
    out = root / "small-out"
    sizes: list[tuple[float, int]] = []
    began = time.perf_counter()
    with ray_scan("-r", root / "small", "-o", out, ANTIFAKE_HOME=str(home.root)) as scan:
        while scan.is_running:
            done = len(finished(out)) / SMALL_PICTURES
            sizes.append((done, scan.memory()))
            time.sleep(2)
        scan.ended()
    took = time.perf_counter() - began
    print(f"{SMALL_PICTURES} small pictures, {SMALL_PICTURES / took:.0f}/s: memory of the command")
    for part in (0.1, 0.25, 0.5, 0.75, 0.95):
        done, size = next(one for one in sizes if one[0] >= part)
        print(f"    {done:>5.0%} finished: {size / 1e6:.0f} MB")
    print(f"    at most: {max(size for _, size in sizes) / 1e6:.0f} MB", flush=True)


MEASURES = {"memory": memory, "detectors": two_detectors, "overhead": overhead}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES, help="for `overhead`")
    parser.add_argument("--only", choices=MEASURES, nargs="+", default=[*MEASURES])
    asked = parser.parse_args()
    assert os.environ.get("ANTIFAKE_HOME"), "name a home with `mini`: ANTIFAKE_HOME=build/home"
    for name in asked.only:
        with tempfile.TemporaryDirectory() as folder:
            MEASURES[name](Path(folder), asked.pictures)


main()
