"""Measures the way from JPEG files to verdicts, and how many cores keep a GPU busy."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from kit.pictures import picture, saved
from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.pipeline import judge_all
from bench.measure import seconds

from .clock import say, timed
from .setting import Bench
from .table import Line

GRAIN_STD = 8  # of 255


def photograph(seed: int, side: int) -> bytes:
    """Returns a JPEG as large as a camera's. Its grain costs decoders time, as detail does."""
    pixels = np.array(picture(seed, side), np.int16)
    pixels += np.roll(grain(side), 37 * seed, axis=(0, 1))
    return saved(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "JPEG", quality=90)


@cache
def grain(side: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, GRAIN_STD, (side, side, 1))
    return noise.round().astype(np.int16)


def photographs(folder: Path, count: int, side: int) -> list[Path]:
    """Writes that many files, no two alike."""
    say(f"drawing {count} JPEG files of {side} x {side}")
    paths = [folder / f"{number:05}.jpg" for number in range(count)]

    def draw(number: int) -> None:
        paths[number].write_bytes(photograph(number, side))

    grain(side)  # once, before the threads ask for it
    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(count)))
    return paths


def files(bench: Bench) -> None:
    """Measures scanning a folder, and decoding it alone."""
    detector = bench.detector()
    with TemporaryDirectory() as name, Decoder(bench.scale.jobs, bench.image_size) as decoder:
        paths = photographs(Path(name), bench.scale.files, bench.scale.side)
        judged_s = scanning(bench, detector, decoder, paths)
        decoding(bench, decoder, paths, judged_s)
    uploading(bench, detector)


def scanning(bench: Bench, detector: Detector, decoder: Decoder, paths: list[Path]) -> float:
    """Measures scanning beside the same number of crops in memory. Returns seconds per crop."""
    count, batch = len(paths), min(len(paths), max(bench.scale.batches))
    say(f"scanning {count} files in batches of {batch}")
    crops = bench.crops(batch)
    scan_s, judged_s = timed(
        bench.place,
        lambda: list(judge_all(detector, decoder, paths, batch)),
        lambda: [detector.margins(crops) for _ in range(count // batch)],
        for_s=2 * bench.scale.for_s,
    )
    judged_s /= count // batch * batch
    what, beside = f"files, {bench.scale.jobs} decoders, a picture", f"crops, batch {batch}"
    bench.table.ms(what, scan_s / count, beside, judged_s, pictures=1)
    return judged_s


def decoding(bench: Bench, decoder: Decoder, paths: list[Path], judged_s: float) -> None:
    """Measures decoding on one core and on all, and how many cores the model would keep busy."""
    say("decoding alone")
    some = paths[: max(16, len(paths) // 8)]
    with Decoder(1, bench.image_size) as alone:
        list(alone.decode_many(some[:2]))
        one_s = seconds(lambda: list(alone.decode_many(some))) / len(some)
    all_s = seconds(lambda: list(decoder.decode_many(paths))) / len(paths)
    kilobytes = np.mean([path.stat().st_size for path in paths]) / 1000
    megapixels = bench.scale.side**2 / 1e6
    what = f"  decoding {megapixels:.1f} MP, {kilobytes:.0f} KB, one process"
    bench.table.ms(what, one_s, f"{bench.scale.jobs} processes", all_s, pictures=1)
    measured = f"{one_s / judged_s:.1f} cores"
    beside = f"to decode as fast as it judges; there are {os.cpu_count()}"
    bench.table.add(Line("  this device needs", measured, beside=beside))


def uploading(bench: Bench, detector: Detector) -> None:
    """Measures uint8 crops to normalised pixels on the device, beside a copy from pinned memory."""
    batch = max(bench.scale.batches)
    crops = bench.crops(batch)
    raw = torch.from_numpy(np.stack(crops))
    raw = raw.pin_memory() if bench.place.type == "cuda" else raw
    landed = torch.empty_like(raw, device=bench.place)
    took_s, copied_s = timed(
        bench.place, lambda: detector.pixels(crops), lambda: landed.copy_(raw), for_s=1.0
    )
    bench.table.ms(f"  {batch} crops onto the device", took_s, "copying their bytes", copied_s)
