"""What the other machine needs, packed into files of a limited size."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from antifake.core import clip_weights
from antifake.core.bundle import QFORMER_TOKENIZER, TOKENIZER
from antifake.trainer.mini.bridge import BRIDGE_SHARD, Sizes, assemble

from .bridge import MANIFEST, grouped

LIMIT = 37 * 2**20
"""Bytes of a piece: a call carries 64 MiB, of which the repository takes up to 27."""
HEADER = 1024
"""Bytes that a file or a tensor takes besides its content, at most."""
DEEPEST = 12
LEARNED = ("train2", "train")
PIECES = "pieces"
"""Folder on the other machine with a file for each piece that arrived, which names them all."""


@dataclass(frozen=True)
class Piece:
    """A piece and the files in it, by their paths on the other machine."""

    name: str
    files: Mapping[str, bytes]


SIZES = Sizes(vision_layers=1, fused_layers=())
"""Of the untrained bridge; the tower comes by itself."""


def pack(
    data: Path, parts: Mapping[str, Path], work: Path, out: Path, sizes: Sizes = SIZES
) -> list[Path]:
    """Writes the pieces into `out`, in the order in which they are needed. Returns their paths."""
    pieces = [*_pictures(data), *_tower(parts["tower"]), _bridge(parts, work, sizes), *_test(data)]
    names = [piece.name for piece in pieces]
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for piece in pieces:
        about = json.dumps({"all": names, "pictures": _picture_names(piece)})
        path = out / f"{piece.name}.tar"
        with tarfile.open(path, "w") as archive:
            # The mark comes last: where it is, all of the piece is.
            marked = {**piece.files, f"{PIECES}/{piece.name}.json": about.encode()}
            for name, raw in marked.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(raw)
                archive.addfile(entry, io.BytesIO(raw))
        paths.append(path)
    return paths


def _picture_names(piece: Piece) -> list[str]:
    starts = tuple(f"data/{part}/" for part in (*LEARNED, "test"))
    return [name.removeprefix("data/") for name in piece.files if name.startswith(starts)]


def _names(data: Path, part: str) -> list[str]:
    lines = (data / "index.csv").read_text("utf-8").splitlines()[1:]
    return [line.partition(",")[0] for line in lines if line.startswith(f"{part}/")]


def _pictures(data: Path) -> Iterator[Piece]:
    """Yields the pictures to learn from; the first piece also has the index and the autoencoder."""
    waiting = {"data/index.csv": (data / "index.csv").read_bytes()}
    for path in sorted((data / "autoencoder").glob("*.safetensors")):
        waiting[f"data/autoencoder/{path.name}"] = path.read_bytes()
    number = 1
    size = sum(map(len, waiting.values()))
    for part in LEARNED:
        for name in _names(data, part):
            content = (data / name).read_bytes()
            if size + len(content) + HEADER > LIMIT:
                yield Piece(f"{number}-pictures", waiting)
                waiting, size, number = {}, 0, number + 1
            waiting[f"data/{name}"] = content
            size += len(content) + HEADER
    yield Piece(f"{number}-pictures", waiting)


def _tower(onnx: Path) -> Iterator[Piece]:
    """Yields the tower in parts."""
    tensors = clip_weights.from_onnx(onnx, _layers(onnx))
    sizes = {name: value.nbytes + HEADER for name, value in tensors.items()}
    for number, names in enumerate(grouped(sizes, LIMIT - HEADER), 1):
        raw = save_arrays({name: tensors[name] for name in names})
        yield Piece(f"5-tower{number}", {f"weights/tower{number}.safetensors": raw})


def _layers(onnx: Path) -> int:
    """Returns how many layers there are: twelve, or as many as a test's small file has."""
    for layers in range(DEEPEST, 0, -1):
        try:
            clip_weights.from_onnx(onnx, layers)
        except Exception:  # noqa: BLE001, S112 - one layer fewer
            continue
        return layers
    return 0


def _test(data: Path) -> Iterator[Piece]:
    files = {f"data/{name}": (data / name).read_bytes() for name in _names(data, "test")}
    if files:
        yield Piece("7-test", files)


def _bridge(parts: Mapping[str, Path], work: Path, sizes: Sizes) -> Piece:
    """Returns the untrained bridge, in float16."""
    bundle = assemble(parts, work / "untrained-gpu", sizes, seed=0)
    tensors = {
        name: value.half() if value.dtype == torch.float32 else value
        for name, value in load_file(bundle.folder / BRIDGE_SHARD).items()
    }
    files = {
        f"untrained/{BRIDGE_SHARD}": save_tensors(tensors),
        f"untrained/{MANIFEST}": bundle.manifest.to_json(),
    }
    for name in (TOKENIZER, QFORMER_TOKENIZER):
        files[f"untrained/{name}"] = (bundle.folder / name).read_bytes()
    return Piece("6-bridge", files)


@dataclass(frozen=True)
class Arrived:
    """What has arrived on the other machine, below one folder."""

    root: Path

    def names(self) -> list[str]:
        """Returns the names of all pieces that there are, arrived or not."""
        for mark in sorted((self.root / PIECES).glob("*.json")):
            found: list[str] = json.loads(mark.read_text())["all"]
            return found
        return []

    def has(self, name: str) -> bool:
        return (self.root / PIECES / f"{name}.json").is_file()

    def pictures(self, name: str) -> list[str]:
        """Returns the pictures of a piece that has arrived."""
        found: list[str] = json.loads((self.root / PIECES / f"{name}.json").read_text())["pictures"]
        return found
