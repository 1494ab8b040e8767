"""Labelled pictures for the recipe: sampling, leaving whole sources out, views.

Nothing here lets the label, the format or the size of a file through to the
model: every view ends as the same 224 pixels, and what is done on the way is
drawn without looking at the label.
"""

import io
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from PIL.Image import Resampling

from antifake.core.errors import UnreadableImageError
from antifake.core.images import decode
from antifake.trainer.examples import Example, from_manifest


def read_index(data: Path, part: str) -> list[Example]:
    """The rows of one part ("train" or "test") of a data folder."""
    return from_manifest(data / "index.csv", f"{part}/*")


def group(example: Example) -> tuple[bool, str, str]:
    """Pictures that are likely to be alike."""
    return example.is_fake, example.source, example.family


def sampling(examples: Sequence[Example], chosen: np.ndarray) -> np.ndarray:
    """How often to draw each of `chosen`: classes alike, groups by the root of their size."""
    groups = Counter(group(examples[i]) for i in chosen)
    totals: dict[bool, float] = {}
    for (is_fake, *_), count in groups.items():
        totals[is_fake] = totals.get(is_fake, 0) + count**0.5
    weights = [
        0.5 / totals[examples[i].is_fake] / groups[group(examples[i])] ** 0.5 for i in chosen
    ]
    total = sum(weights)
    return np.array([weight / total for weight in weights])


@dataclass(frozen=True)
class Fold:
    """Whole sources and whole families that are left out of training together."""

    name: str
    fake_sources: frozenset[str]
    families: frozenset[str]
    real_sources: frozenset[str]

    def trains_on(self, example: Example) -> bool:
        if example.is_fake:
            return example.source not in self.fake_sources and example.family not in self.families
        return example.source not in self.real_sources

    def judges(self, example: Example) -> bool:
        """A left-out source may hold a generator that training saw elsewhere: not judged."""
        if example.is_fake:
            return example.family in self.families
        return example.source in self.real_sources

    def split(self, examples: Sequence[Example], most: int = 150) -> tuple[np.ndarray, np.ndarray]:
        """Indices to train on, and to judge: at most `most` of a group, so none outweighs."""
        train, held, seen = [], [], Counter[tuple[bool, str, str]]()
        for i, example in enumerate(examples):
            if self.trains_on(example):
                train.append(i)
            elif self.judges(example) and seen[group(example)] < most:
                seen[group(example)] += 1
                held.append(i)
        return np.array(train), np.array(held)


def folds(examples: Sequence[Example], count: int, seed: int) -> list[Fold]:
    """Split sources into `count` disjoint sets, each with fakes and reals of many kinds.

    A family goes with the fold that holds most of its pictures, so no generator
    of a held-out fold was seen in training, from whatever source.
    """
    shuffled = random.Random(seed)  # noqa: S311 - not for secrets
    by_label = {}
    for label in (True, False):
        sources = Counter(e.source for e in examples if e.is_fake == label)
        bins: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
        names = sorted(sources)
        shuffled.shuffle(names)
        for name in sorted(names, key=lambda one: -sources[one]):
            size, held = min(bins, key=lambda one: one[0])
            bins[bins.index((size, held))] = (size + sources[name], [*held, name])
        by_label[label] = [held for _, held in bins]
    homes = {}
    for family in {e.family for e in examples if e.is_fake}:
        where = Counter(e.source for e in examples if e.is_fake and e.family == family)
        homes[family] = where.most_common(1)[0][0]
    return [
        Fold(
            f"fold {i + 1}",
            frozenset(fakes),
            frozenset(family for family, home in homes.items() if home in fakes),
            frozenset(reals),
        )
        for i, (fakes, reals) in enumerate(zip(by_label[True], by_label[False], strict=True))
    ]


def plain_view(data: bytes) -> np.ndarray:
    """As the detector sees it, uint8 [224, 224, 3]."""
    return decode(data).crop


def changed_view(data: bytes, seed: str) -> np.ndarray:
    """The same picture as it might have travelled, uint8 [224, 224, 3]; same seed, same view."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if draw.random() < 0.5:
        image = ImageOps.mirror(image)
    if draw.random() < 0.8:
        image = _crop(image, draw)
    if draw.random() < 0.25:
        scale = draw.uniform(0.5, 0.95)
        how = draw.choice((Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS))
        image = image.resize((int(image.width * scale), int(image.height * scale)), how)
    if draw.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(draw.uniform(0.3, 1.1)))
    if draw.random() < 0.15:
        image = _grainy(image, draw)
    quality = draw.randint(40, 95) if draw.random() < 0.5 else 100
    kind = "JPEG" if draw.random() < 0.7 else "WEBP"
    buffer = io.BytesIO()
    image.save(buffer, kind if quality < 100 else "PNG", quality=quality)
    try:
        return decode(buffer.getvalue()).crop
    except UnreadableImageError:
        # The crop fell on a stretch of one colour, which nobody could judge.
        return plain_view(data)


def _crop(image: Image.Image, draw: random.Random) -> Image.Image:
    area = image.width * image.height * draw.uniform(0.4, 1)
    shape = 2 ** draw.uniform(-0.2, 0.2)
    width = min(image.width, int((area * shape) ** 0.5))
    height = min(image.height, int((area / shape) ** 0.5))
    left = draw.randint(0, image.width - width)
    top = draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _grainy(image: Image.Image, draw: random.Random) -> Image.Image:
    noise = np.random.default_rng(draw.randrange(2**31))
    pixels = np.asarray(image, np.float64)
    grainy = pixels + noise.normal(0, draw.uniform(1, 6), pixels.shape)
    return Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8))
