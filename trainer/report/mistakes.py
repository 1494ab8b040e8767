"""The worst mistakes, as thumbnails."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.pixels import Pixels
from antifake.trainer.evaluate import THRESHOLD, Judged

MOST = 12
SIDE_PX = 144


@dataclass(frozen=True)
class Mistake:
    """One picture on the wrong side of the threshold."""

    name: str
    """Relative to the named folder, so it does not show where it is on this computer."""
    word: str
    p_fake: float
    thumbnail: str
    """A data: URL of what the model saw, encoded again; "" if the file is missing by now."""


def worst(judged: Sequence[Judged], *, is_fake: bool) -> list[Judged]:
    """Returns the mistakes of one class with the most extreme scores, the worst first."""
    wrong = [
        one
        for one in judged
        if one.row.p_fake is not None
        and one.is_fake == is_fake
        and (one.row.p_fake > THRESHOLD) != is_fake
    ]
    wrong.sort(key=lambda one: one.row.p_fake or 0, reverse=not is_fake)
    return wrong[:MOST]


def mistakes(wrong: Sequence[Judged], decoder: Decoder, roots: Sequence[Path]) -> list[Mistake]:
    """Decodes the pictures again, in the decoder's process, and makes thumbnails of them."""
    found = []
    for one, decoded in zip(
        wrong, decoder.decode_many(one.example.path for one in wrong), strict=True
    ):
        picture = decoded[1].picture
        found.append(
            Mistake(
                name_below(one.example.path, roots),
                one.row.word or "",
                one.row.p_fake or 0.0,
                data_address(picture.crop) if picture else "",
            )
        )
    return found


def name_below(path: Path, roots: Sequence[Path]) -> str:
    """Returns the path relative to the root that contains it, or else the bare name."""
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


def data_address(crop: Pixels) -> str:
    """Returns a crop uint8 [S, S, 3] as the data: URL of a small JPEG."""
    image = Image.fromarray(crop).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
