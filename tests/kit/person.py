"""A person who answers: crops of their pictures, requests, and a base set for the tiny model."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from antifake.core.bundle import Bundle
from antifake.core.catalog import Home
from antifake.core.detector import detector_of
from antifake.core.precision import Precision
from antifake.core.promptbook import Promptbook
from antifake.trainer.base_set.clustering import clustered
from antifake.trainer.base_set.compact import compact
from antifake.trainer.base_set.kept import BaseSet, Pictures
from antifake.trainer.personal.report import Report
from antifake.trainer.personal.request import Request
from antifake.trainer.personal.retraining import retrain

from .threads import one_thread

SIZE = 28


def shapes(number: int, *, looks_fake: bool) -> np.ndarray:
    """Returns a picture of its own, uint8 [28, 28, 3]: cool, or warm for what a generator made."""
    rng = np.random.default_rng(number)
    tint = np.array([40, 0, -40]) if looks_fake else np.array([-40, 0, 40])
    coarse = Image.fromarray(rng.integers(60, 196, (5, 5, 3), np.uint8)).resize((SIZE, SIZE), 3)
    tinted = (np.asarray(coarse, float) + tint).clip(0, 255)
    return np.asarray(tinted, np.uint8)


class Person:
    """A person's answers: crops as lossless WebP, and a request for them."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.words: list[dict[str, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def crop(self, number: int, *, looks_fake: bool) -> tuple[str, Path]:
        """Returns the sha256 that stands for the picture's file, and its crop."""
        path = self.folder / f"{number}.webp"
        Image.fromarray(shapes(number, looks_fake=looks_fake)).save(path, lossless=True)
        return hashlib.sha256(str(number).encode()).hexdigest(), path

    def answers(self, numbers: Iterable[int], label: str, *, looks_fake: bool) -> None:
        for number in numbers:
            sha256, path = self.crop(number, looks_fake=looks_fake)
            self.words.append({"sha256": sha256, "label": label, "crop": str(path)})

    def request(self, out: Path, **more: Any) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        asked = {
            "schema": 1,
            "bundle": str(self.home.models / "tiny"),
            "prompts": str(self.home.prompts),
            "start": "first",
            "current": "first",
            "seed": 0,
            "threads": 1,
            "words": self.words,
            "judge": [],
            "budget": None,
            "out": str(out),
        }
        path = out / "request.json"
        path.write_text(json.dumps(asked | more))
        return path

    def retrain(self, out: Path, base: BaseSet | None = None, **more: Any) -> Report:
        """Retrains in this process, with a base set."""
        request = Request.read(self.request(out, **more))
        with one_thread():
            return retrain(request, lambda _stage, _done, _total: None, lambda _: base)


def tiny_base_set(home: Home, bundle: Bundle, n: int = 24) -> BaseSet:
    """Pictures of the same two looks with their right labels, half to replay, half for the gate."""
    exact = Precision(torch.device("cpu"), torch.float32)
    detector, _ = detector_of(bundle, Promptbook(home.prompts), "first", exact)
    is_fake = np.arange(n) % 2 == 1
    tokens = [
        detector.model.vision_features(
            detector.pixels([shapes(9000 + number, looks_fake=bool(number % 2))])
        )
        for number in range(n)
    ]
    every = compact([clustered(one[0].numpy(), 4) for one in tokens])
    sources = tuple(f"{'abcdef'[number // 2 % 6]}/pictures" for number in range(n))
    pictures = Pictures(every, is_fake, sources)
    return BaseSet(pictures.take(np.arange(n) < n // 2), pictures.take(np.arange(n) >= n // 2))
