"""Views of pictures, drawn once by many processes and kept as arrays of bytes.

plain    what the detector sees, 224 pixels a side
changed  whole squares first, then squares and parts that travelled through the web; a little
         larger, so that training cuts its 224 pixels out at random places
aligned  the same changes of real pictures that went through the autoencoder
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path

import numpy as np

from antifake.core.errors import UnreadableImageError
from antifake.core.images import decode, whole
from antifake.trainer.examples import Example, from_manifest

from .autoencoder import Autoencoder, saved_alike
from .changes import changed, square

SIDE, WIDER = 224, 240
AT_ONCE = 16
"""Pictures of one size that go through the autoencoder together."""
GRID = 32
"""Their sides are cut to multiples of it: every new size costs a GPU time."""
ALIGNED = 2
"""Views of each picture that went through the autoencoder."""


@dataclass(frozen=True)
class Task:
    """One file that views are drawn of."""

    row: int
    """Of the arrays that the views are written to."""
    name: str
    """Seeds the changes. An aligned picture has the name of the one that it was made of."""
    data: bytes


@dataclass(frozen=True)
class Arrays:
    """The files of one piece's views."""

    folder: Path
    piece: str

    def path(self, kind: str) -> Path:
        return self.folder / f"{self.piece}.{kind}.npy"

    @property
    def mark(self) -> Path:
        """Is there once all views are."""
        return self.folder / f"{self.piece}.done.json"

    def create(self, kind: str, shape: tuple[int, ...]) -> None:
        np.lib.format.open_memmap(self.path(kind), "w+", np.uint8, shape).flush()

    def open(self, kind: str) -> np.ndarray:
        return np.lib.format.open_memmap(self.path(kind), "c")

    def write(self, kind: str, row: int, values: np.ndarray) -> None:
        """Writes one row in place, as several processes may do at once."""
        shape = self.open(kind).shape
        header = self.path(kind).stat().st_size - math.prod(shape)
        with self.path(kind).open("r+b") as file:
            file.seek(header + row * math.prod(shape[1:]))
            file.write(values.tobytes())


def plain(data: bytes) -> np.ndarray:
    """Returns the crop that the detector judges, uint8 [224, 224, 3]."""
    try:
        return decode(data).crop
    except UnreadableImageError:  # blank or noise: it was in the collection all the same
        return square(whole(data), SIDE)


def drawn(task: Task, count: int) -> Iterator[np.ndarray]:
    """Yields `count` views, uint8 [240, 240, 3]. The first is the whole square."""
    image = whole(task.data)
    yield square(image, WIDER)
    for number in range(1, count):
        draw = random.Random(f"{task.name} {number}")  # noqa: S311 - not for secrets
        yield changed(image, draw, WIDER)


def _draw(arrays: Arrays, kind: str, task: Task, count: int) -> None:
    if kind == "changed":
        arrays.write("plain", task.row, plain(task.data))
    arrays.write(kind, task.row, np.stack(list(drawn(task, count))))


def _redrawn(arrays: Arrays, pixels: np.ndarray, task: Task) -> None:
    alike = saved_alike(pixels, task.data)
    _draw(arrays, "aligned", Task(task.row, task.name, alike), ALIGNED)


@dataclass(frozen=True)
class Drawing:
    """How a piece's views are drawn."""

    data: Path
    """A folder with pictures, index.csv and autoencoder/."""
    out: Path
    device: str
    changed: int = 8
    aligned: bool = True
    """Whether real pictures are also sent through the autoencoder."""

    def draw(self, piece: str, names: Sequence[str], pool: Pool) -> None:
        """Draws all views of the pictures `names`, relative to the folder, in the processes."""
        arrays = Arrays(self.out, piece)
        if arrays.mark.is_file():
            return
        self.out.mkdir(parents=True, exist_ok=True)
        known = index(self.data)
        examples = [known[name] for name in names]
        judged_only = [name.startswith("test/") for name in names]
        count = 1 if names and all(judged_only) else self.changed
        arrays.create("plain", (len(names), SIDE, SIDE, 3))
        arrays.create("changed", (len(names), count, WIDER, WIDER, 3))
        real = [i for i, one in enumerate(examples) if not one.is_fake and not judged_only[i]]
        real = real if self.aligned else []
        arrays.create("aligned", (len(real), ALIGNED, WIDER, WIDER, 3))
        tasks = [Task(i, name, (self.data / name).read_bytes()) for i, name in enumerate(names)]
        running = [pool.apply_async(_draw, (arrays, "changed", task, count)) for task in tasks]
        running += self._align(pool, arrays, [tasks[i] for i in real])
        for one in running:
            one.get()
        aligned = [names[i] for i in real]
        arrays.mark.write_text(json.dumps({"names": list(names), "aligned": aligned}))

    def _align(
        self, pool: Pool, arrays: Arrays, tasks: Sequence[Task]
    ) -> list["AsyncResult[None]"]:
        """Sends real pictures through the autoencoder, those of one size together."""
        by_size: dict[tuple[int, int], list[tuple[Task, int, np.ndarray]]] = {}
        for row, task in enumerate(tasks):
            image = whole(task.data)
            wide, high = (max(8, edge // GRID * GRID) for edge in image.size)
            cut = np.asarray(image)[:high, :wide]
            by_size.setdefault((wide, high), []).append((task, row, cut))
        if not tasks:
            return []
        model = Autoencoder(self.data / "autoencoder").to(self.device)
        running = []
        for together in by_size.values():
            for at in range(0, len(together), AT_ONCE):
                some = together[at : at + AT_ONCE]
                pixels = model.redraw(np.stack([one for *_, one in some]), self.device)
                for (task, row, _), redrawn in zip(some, pixels, strict=True):
                    mine = Task(row, task.name, task.data)
                    running.append(pool.apply_async(_redrawn, (arrays, redrawn, mine)))
        return running


def index(data: Path) -> dict[str, Example]:
    """Returns the pictures of a data folder by their names."""
    return {one.path.relative_to(data).as_posix(): one for one in from_manifest(data / "index.csv")}
