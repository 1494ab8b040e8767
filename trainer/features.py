"""Features of pictures from the frozen vision tower, computed once and cached on disk.

A cache file is a sha256 and then a safetensors file with one tensor, which the sha256 is of. It
is named by all that the tensor depends on: the picture's bytes, the preprocessing and the tower.
A damaged file counts as missing. The folder has a maximum size; the least recently used files
are removed first.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from antifake.core import images
from antifake.core.bundle import Bundle
from antifake.core.decoder import Decoder
from antifake.core.errors import AntifakeError, is_disk_full
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip
from antifake.core.pixels import Pixels

from .samples import Sample

DEFAULT_BYTES = 2 * 10**9
SUFFIX = ".features"
_DIGEST = 32  # bytes of a sha256


class FeatureCache:
    """A folder of features [N, Hv] with a maximum size. Several processes may share it."""

    def __init__(self, folder: Path, max_bytes: int = DEFAULT_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._bytes = sum(one[1] for one in self._files())

    def get(self, key: str) -> Tensor | None:
        """Returns the features [N, Hv] of that key, or None if they are missing or damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            path.touch()  # the time of the last use decides which files are removed
            return load_safetensors(data[_DIGEST:])["features"]
        except (OSError, SafetensorError, KeyError):
            return None

    def put(self, key: str, features: Tensor) -> None:
        """Stores features [N, Hv]. Removes the least recently used files to make room.

        Stores nothing if the disk is full, as they can be computed again.
        """
        data = save_safetensors({"features": features.cpu().contiguous()})
        try:
            _replace(self._path(key), hashlib.sha256(data).digest() + data)
        except OSError as error:
            if is_disk_full(error):
                return
            raise
        self._bytes += _DIGEST + len(data)
        if self._bytes > self.max_bytes:
            self._make_room()

    def _make_room(self) -> None:
        """Removes a tenth more than needed; otherwise every new file would list the folder."""
        files = sorted(self._files())
        self._bytes = sum(one[1] for one in files)
        for _used, size, path in files:
            if self._bytes <= 0.9 * self.max_bytes:
                break
            path.unlink(missing_ok=True)
            self._bytes -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """Returns the time of the last use, the size and the path of every file."""
        found = []
        for path in self.folder.glob(f"*/*{SUFFIX}"):
            with suppress(OSError):  # another process removed it
                info = path.stat()
                found.append((info.st_mtime, info.st_size, path))
        return found

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{SUFFIX}"


def _replace(path: Path, data: bytes) -> None:
    """Writes atomically, but unlike core.files without fsync: the data can be computed again."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def vision_fingerprint(bundle: Bundle) -> str:
    """Returns the sha256 of the stored vision tower, the same for two models that share one."""
    digest = hashlib.sha256(json.dumps(bundle.manifest.config["vision_config"]).encode())
    for shard in bundle.manifest.shards:
        with safe_open(bundle.folder / shard, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith("vision_model.")]  # noqa: SIM118
            for name in sorted(names):
                tensor = file.get_tensor(name)
                digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class View:
    """Which part of a picture is seen, and whether it is flipped."""

    flipped: bool = False
    at: tuple[float, float] | None = None
    """Offset of the square, as shares from 0 to 1 of the room it has. None: the centre crop, by
    which pictures are judged."""

    def apply_flip(self, crop: Pixels) -> Pixels:
        """Returns a crop uint8 [S, S, 3], flipped if this view is."""
        return crop[:, ::-1].copy() if self.flipped else crop


PLAIN, FLIPPED = View(), View(flipped=True)


class Features(Protocol):
    """Where the training loop gets features from."""

    def features(self, pictures: Sequence[Sample], views: Sequence[View]) -> Tensor:
        """Returns features [B, N, Hv] on the model's device."""


class FeatureExtractor:
    """Computes features of the frozen tower, or finds them in the cache."""

    def __init__(  # noqa: PLR0913 - parts, and a setting with its default
        self,
        model: InstructBlip,
        pixels: Callable[[Sequence[Pixels]], Tensor],
        decoder: Decoder,
        cache: FeatureCache | None,
        depends_on: str,
        *,
        at_once: int | None = None,
    ) -> None:
        """`pixels` normalises crops [B, S, S, 3] to [B, 3, S, S]. `depends_on` names all that
        features depend on, other than the picture and its view. `at_once` pictures go through
        the tower together; None: as many as suit the device."""
        self._model, self._pixels, self._decoder, self._cache = model, pixels, decoder, cache
        self._depends_on = depends_on
        # A CPU gains little from a batch; a GPU computes 8 as fast as one.
        self._at_once = at_once or (1 if model.device.type == "cpu" else 8)
        self._threads = ThreadPoolExecutor(thread_name_prefix="crops")

    def features(self, pictures: Sequence[Sample], views: Sequence[View]) -> Tensor:
        """Returns features [B, N, Hv] on the model's device.

        Raises AntifakeError where a file has changed.
        """
        if any(view.at for view in views):
            cut = self._threads.map(random_crop, pictures, views, [self._size] * len(views))
            return self._compute(list(cut))
        # In threads, as hashing their bytes takes longer than reading them.
        found = list(self._threads.map(self._cached, pictures, views))
        missing = [i for i, features in enumerate(found) if features is None]
        crops = self._crops([pictures[i] for i in missing], [views[i] for i in missing])
        for i, seen in zip(missing, self._batched(crops), strict=True):
            found[i] = seen
            if self._cache:
                self._cache.put(self._key(pictures[i], views[i]), seen)
        return self._stacked([one for one in found if one is not None])

    def _stacked(self, found: list[Tensor]) -> Tensor:
        """Returns features [N, Hv] as [B, N, Hv] on the model's device, by one copy if possible."""
        device = self._model.device
        if device.type != "cuda" or any(one.is_cuda for one in found):
            return torch.stack([one.to(device) for one in found])
        # Pinned memory is copied faster, and without blocking this thread.
        pinned = torch.empty(len(found), *found[0].shape, dtype=found[0].dtype, pin_memory=True)
        return torch.stack(found, out=pinned).to(device, non_blocking=True)

    def _crops(self, pictures: Sequence[Sample], views: Sequence[View]) -> Iterator[Pixels]:
        decoded = self._decoder.decode_many([picture.example.path for picture in pictures])
        for picture, view, (_path, one) in zip(pictures, views, decoded, strict=True):
            if one.picture is None or one.sha256 != picture.sha256:
                raise _changed(picture)
            yield view.apply_flip(one.picture.crop)

    def _batched(self, crops: Iterator[Pixels]) -> Iterator[Tensor]:
        """Yields the features [N, Hv] of each crop [S, S, 3].

        Batches are padded to one size: with another size the last bits would differ.
        """
        while some := list(itertools.islice(crops, self._at_once)):
            padding = [some[-1]] * (self._at_once - len(some))
            yield from self._compute(some + padding)[: len(some)]

    @property
    def _size(self) -> int:
        return self._model.image_size

    def _compute(self, crops: Sequence[Pixels]) -> Tensor:
        """Returns features [B, N, Hv] of crops [S, S, 3], in the dtype that the Q-Former uses."""
        features = self._model.vision_features(self._pixels(crops))
        return features.to(self._model.precision.dtype)

    def _cached(self, picture: Sample, view: View) -> Tensor | None:
        return self._cache.get(self._key(picture, view)) if self._cache else None

    def _key(self, picture: Sample, view: View) -> str:
        text = f"{picture.sha256} {'flipped' if view.flipped else 'plain'} {self._depends_on}"
        return hashlib.sha256(text.encode()).hexdigest()


def random_crop(picture: Sample, view: View, size: int) -> Pixels:
    """Returns the official augmentation, uint8 [size, size, 3].

    The shorter side is resized to `size`, and the view's square is cut and perhaps flipped.
    This runs in this process, so only on bytes that a decoder process has decoded before.
    Raises AntifakeError where the file has changed since.
    """
    data = images.read_file(picture.example.path)
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        raise _changed(picture)
    image = images.resized(data, size)
    width, height = image.size
    across, down = view.at or (0.5, 0.5)
    left, top = round(across * (width - size)), round(down * (height - size))
    crop = np.array(image.crop((left, top, left + size, top + size)))
    return view.apply_flip(crop)


def _changed(picture: Sample) -> AntifakeError:
    return AntifakeError(
        _("{file} was changed while it was being learned from.", file=picture.example.path)
    )
