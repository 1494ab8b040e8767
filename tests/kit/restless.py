"""Writers that act on a folder at random, as browsers, archivers, editors and people do.

No two files that they write have the same content.
"""

import os
import random
import shutil
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".webp", ".GIF")


class Restless(threading.Thread):
    """One writer. Several may write to the same root and interfere with each other."""

    def __init__(self, root: Path, outside: Path, seed: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.root, self.outside = root, outside
        self.random = random.Random(seed)  # noqa: S311
        self.ends = time.monotonic() + seconds
        self.seed = seed
        self.count = 0
        self.done: dict[str, int] = {}

    def run(self) -> None:
        while time.monotonic() < self.ends:
            act = self.random.choices(*zip(*_ACTS, strict=True))[0]
            # Another writer may have just moved the file away.
            with suppress(OSError):
                act(self)
                self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
            time.sleep(self.random.uniform(0, 0.03))

    # Files and folders to act on.

    def picture(self) -> bytes:
        self.count += 1
        size = self.random.choice([1, 50, 3_000, 70_000])
        return b"\x89PNG" + self.random.randbytes(size) + f"{self.seed}-{self.count}".encode()

    def new(self, folder: Path | None = None) -> Path:
        self.count += 1
        name = f"{self.seed}-{self.count}{self.random.choice(SUFFIXES)}"
        if self.random.random() < 0.05:
            name = os.fsdecode(b"\xff\xfe-") + name
        elif self.random.random() < 0.05:
            name = "two\nlines-" + name
        return (folder or self.folder()) / name

    def folder(self) -> Path:
        below = [Path(here) for here, _, _ in os.walk(self.root)]
        return self.random.choice(below or [self.root])

    def subfolder(self) -> Path:
        return self.random.choice([p for p in self.root.rglob("*") if p.is_dir()] or [self.root])

    def any_picture(self) -> Path:
        here = list(pictures(self.root))
        return self.random.choice(here) if here else self.root / "none"

    def elsewhere(self) -> Path:
        self.count += 1
        return self.outside / f"{self.seed}-{self.count}.png"

    # The actions.

    def copy(self) -> None:
        self.new().write_bytes(self.picture())

    def write_slowly(self) -> None:
        with self.new().open("wb") as file:
            for _ in range(self.random.randrange(2, 6)):
                file.write(self.picture())
                file.flush()
                time.sleep(self.random.uniform(0, 0.15))

    def append(self) -> None:
        path = self.any_picture()
        for _ in range(3):
            with path.open("r+b") as file:
                file.seek(0, os.SEEK_END)
                file.write(self.picture())
            time.sleep(self.random.uniform(0, 0.1))

    def move_in(self) -> None:
        source = self.elsewhere()
        source.write_bytes(self.picture())
        source.rename(self.new())

    def move_out(self) -> None:
        self.any_picture().rename(self.elsewhere())

    def rename(self) -> None:
        self.any_picture().rename(self.new())

    def replace(self) -> None:
        path = self.any_picture()
        part = path.with_name(path.name + ".tmp")
        part.write_bytes(self.picture())
        part.replace(path)

    def delete(self) -> None:
        self.any_picture().unlink()

    def download_as_chromium(self) -> None:
        final = self.new()
        hidden = final.with_name(f".org.chromium.Chromium.{self.count}")
        hidden.write_bytes(self.picture())
        half = final.with_name(f"Unconfirmed {self.seed}{self.count}.crdownload")
        hidden.rename(half)
        final.touch()
        time.sleep(self.random.uniform(0, 0.1))
        half.rename(final)

    def download_as_firefox(self) -> None:
        final = self.new()
        half = final.with_name(f"{final.stem}.{self.count}.png.part")
        final.touch()
        with half.open("wb") as file:
            file.write(self.picture())
            file.flush()
            time.sleep(self.random.uniform(0, 0.1))
            file.write(self.picture())
        half.replace(final)

    def link_hard(self) -> None:
        os.link(self.any_picture(), self.new())

    def link(self) -> None:
        target = self.random.choice([self.any_picture(), Path("/dev/zero"), self.root / "nowhere"])
        self.new().symlink_to(target)

    def link_folder(self) -> None:
        self.new().with_suffix("").symlink_to(self.root)

    def pipe(self) -> None:
        os.mkfifo(self.new())

    def unpack(self) -> None:
        packed = BytesIO()
        self.count += 1
        with zipfile.ZipFile(packed, "w") as archive:
            for n in range(self.random.randrange(1, 12)):
                archive.writestr(f"z{self.seed}-{self.count}/{n % 3}/{n}.png", self.picture())
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(self.folder())

    def move_folder_in(self) -> None:
        source = self.elsewhere().with_suffix("")
        (source / "deep" / "er").mkdir(parents=True)
        for n, folder in enumerate([source, source / "deep", source / "deep" / "er"]):
            (folder / f"{n}.jpg").write_bytes(self.picture())
        source.rename(self.folder() / source.name)

    def move_folder(self) -> None:
        self.subfolder().rename(self.new().with_suffix(""))

    def move_folder_out(self) -> None:
        self.subfolder().rename(self.elsewhere().with_suffix(""))

    def remove_folder(self) -> None:
        shutil.rmtree(self.subfolder(), ignore_errors=True)
        self.root.mkdir(exist_ok=True)

    def make_folders(self) -> None:
        folder = self.new().with_suffix("") / "a" / "b"
        folder.mkdir(parents=True)
        (folder / "at once.png").write_bytes(self.picture())

    def burst(self) -> None:
        folder = self.folder()
        for _ in range(60):
            self.new(folder).write_bytes(self.picture()[:500])

    def swap_root(self) -> None:
        old = self.elsewhere().with_suffix("")
        self.root.rename(old)
        time.sleep(self.random.uniform(0, 0.2))
        self.root.mkdir(exist_ok=True)
        for path in list(old.iterdir())[:20]:
            path.rename(self.root / path.name)


_ACTS: list[tuple[Callable[[Restless], None], float]] = [
    (Restless.copy, 6),
    (Restless.write_slowly, 2),
    (Restless.append, 3),
    (Restless.move_in, 4),
    (Restless.move_out, 2),
    (Restless.rename, 4),
    (Restless.replace, 4),
    (Restless.delete, 3),
    (Restless.download_as_chromium, 3),
    (Restless.download_as_firefox, 3),
    (Restless.link_hard, 2),
    (Restless.link, 2),
    (Restless.link_folder, 1),
    (Restless.pipe, 1),
    (Restless.unpack, 2),
    (Restless.move_folder_in, 2),
    (Restless.move_folder, 2),
    (Restless.move_folder_out, 0.5),
    (Restless.remove_folder, 0.5),
    (Restless.make_folders, 2),
    (Restless.burst, 0.7),
    (Restless.swap_root, 0.3),
]


def pictures(root: Path) -> Iterator[Path]:
    """Returns every file that must be judged in the end. Does not use the watcher's own rules."""
    for here, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(here, name)
            if path.suffix.lower() in (".png", ".jpg", ".webp", ".gif") and name[0] != ".":
                with suppress(FileNotFoundError):
                    info = path.lstat()
                    if stat.S_ISREG(info.st_mode) and info.st_size:
                        yield path
