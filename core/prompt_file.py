"""The header of a prompt's file, read without torch.

header   8 bytes length, then JSON: the shapes of the tensors, and the metadata under
         `antifake_prompt`
tensors  qformer [P, Hq] and llm [P, Hl], float32
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .bundle import Manifest
from .errors import ModelError
from .files import read_capped
from .i18n import _
from .strict_json import is_printable, is_whole, strict_json
from .verdict import Bands

MAX_PROMPT_BYTES = 16 * 2**20
"""A prompt is about 20 KB, an official .pth with its optimizer state 100 KB."""

MAX_ROWS = 256
"""The most learned tokens of a side: the model reads them with each question."""
_MAX_WIDTH = 2**16
_LONGEST = 500

QUESTION = ("Is this photo real", "?")
"""The question that the model is asked, in two parts; the soft prompt stands between them."""

RGB = tuple[float, float, float]

# Statistics of the official training sets (COCO + SD2 + SD2IP, 90k pictures): the
# nearest published to the 150k sets, whose own differ by less than 0.002.
OFFICIAL_MEAN: RGB = (0.4730, 0.4499, 0.4129)
OFFICIAL_STD: RGB = (0.2780, 0.2713, 0.2872)


@dataclass(frozen=True)
class PromptMetadata:
    """How a soft prompt was tuned and calibrated. Everything here is plain JSON."""

    before: str = QUESTION[0]
    """The question up to the soft prompt."""
    after: str = QUESTION[1]
    mean: RGB = OFFICIAL_MEAN
    """The mean of each channel, of pixels in [0, 1]."""
    std: RGB = OFFICIAL_STD
    base: str = ""
    """The fingerprint of the model it was tuned on; if empty, only widths are compared."""
    base_name: str = ""
    threshold: float = 0.0
    """The margin l_no - l_yes at which p_fake is 0.5."""
    temperature: float = 1.0
    """The divisor of (margin - threshold) before the sigmoid."""
    bands: Bands = field(default_factory=Bands)
    made: dict[str, Any] = field(default_factory=dict)
    """How it was made, for people."""

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.threshold, self.temperature)
        if len(self.mean) != 3 or len(self.std) != 3 or not all(map(math.isfinite, numbers)):
            raise ValueError("mean and std must be three finite numbers each")
        texts = (self.before, self.after, self.base, self.base_name)
        if not all(is_printable(text, _LONGEST) for text in texts):
            raise ValueError("the question must be a short, printable text")
        if not isinstance(self.made, dict):
            raise TypeError("how it was made must be an object")
        if self.temperature <= 0 or min(self.std) <= 0:
            raise ValueError("temperature and std must be positive")

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError, TypeError or KeyError if the text is not valid metadata."""
        raw = strict_json(text)
        raw["bands"] = Bands(**raw["bands"])
        raw["mean"], raw["std"] = tuple(raw["mean"]), tuple(raw["std"])
        return cls(**raw)


@dataclass(frozen=True)
class PromptFile:
    """One prompt on disk: its header, and the hash of the file."""

    path: Path
    about: PromptMetadata
    shapes: dict[str, list[int]]
    sha256: str

    @property
    def id(self) -> str:
        return self.sha256[:8]


def open_prompt(path: Path) -> PromptFile:
    """Reads the header of one of our prompt files. Raises ModelError."""
    data = read_capped(path, MAX_PROMPT_BYTES, _("prompt"))
    about, shapes = read_header(data, path.name)
    return PromptFile(path, about, shapes, hashlib.sha256(data).hexdigest())


def read_header(data: bytes, name: str) -> tuple[PromptMetadata, dict[str, list[int]]]:
    """Returns metadata and shapes from the bytes of a prompt. Raises ModelError."""
    if data[:2] == b"PK" or data[:1] == b"\x80":
        raise ModelError(
            _(
                "{name} is a PyTorch checkpoint, not a prompt: try `antifake prompt import "
                "{name}`.",
                name=name,
            )
        )
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ModelError(
            _("{name} is not a readable prompt: it is cut short or not safetensors.", name=name)
        )
    try:
        header = strict_json(data[8 : 8 + length])
        shapes = {side: _shape(header[side]["shape"]) for side in ("qformer", "llm")}
        return PromptMetadata.from_json(header["__metadata__"]["antifake_prompt"]), shapes
    except KeyError:
        raise ModelError(
            _("{name} is a safetensors file, but not an antifake prompt.", name=name)
        ) from None
    except (ValueError, TypeError, AttributeError):
        raise ModelError(
            _("{name} is not a readable prompt: its header is damaged.", name=name)
        ) from None


def _shape(raw: Any) -> list[int]:
    rows, width = raw
    if not (is_whole(rows, MAX_ROWS) and is_whole(width, _MAX_WIDTH)):
        raise ValueError("a prompt has few rows of whole numbers")
    return [rows, width]


def check_fits(about: PromptMetadata, shapes: dict[str, list[int]], manifest: Manifest) -> None:
    """Raises ModelError if a prompt was tuned for another model."""
    if about.base and about.base != manifest.fingerprint:
        raise ModelError(
            _(
                "This prompt was tuned for {other} ({id}), not for {model}.",
                other=about.base_name or _("another model"),
                id=about.base[:8],
                model=manifest.version,
            )
        )
    sides = (
        ("qformer", "Q-Former", manifest.config["qformer_config"]["hidden_size"]),
        ("llm", _("language model"), manifest.llm_width),
    )
    for side, title, wanted in sides:
        rows, width = shapes[side]
        if rows and width != wanted:
            raise ModelError(
                _(
                    "This prompt is for another model: its {side} side is {width} wide, that of "
                    "{model} is {wanted}.",
                    side=title,
                    width=width,
                    model=manifest.name,
                    wanted=wanted,
                )
            )
