"""What the container of a picture says: its marks, its camera, and whether it has credentials.

The decoder's child reads it and sends it as JSON, so the parent takes nothing from it on trust.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self, get_args

from .marks import LONGEST_PLACE, MAKERS, MOST_MARKS, Camera, Kind, Mark, inert


@dataclass(frozen=True)
class FileMarks:
    """What was found. Nothing of a prompt or of another text is in it."""

    found: tuple[Mark, ...] = ()
    camera: Camera | None = None
    is_complete: bool = True
    """False if the container was too long or too damaged to be looked at as a whole."""
    n_c2pa_bytes: int = 0
    """Of the Content Credentials inside the file; 0 if there are none."""
    is_c2pa_elsewhere: bool = False
    """Whether the file names an address where its Content Credentials are kept."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"found": [asdict(mark) for mark in self.found]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` made. Raises ValueError, TypeError or LookupError for others."""
        camera = values["camera"]
        if camera is not None:
            camera = Camera(inert(str(camera["make"])), inert(str(camera["model"])))
        return cls(
            found=tuple(map(_mark, values["found"][:MOST_MARKS])),
            camera=camera,
            is_complete=bool(values["is_complete"]),
            n_c2pa_bytes=int(values["n_c2pa_bytes"]),
            is_c2pa_elsewhere=bool(values["is_c2pa_elsewhere"]),
        )


def _mark(values: dict[str, Any]) -> Mark:
    if values["maker"] not in MAKERS or values["kind"] not in get_args(Kind):
        raise ValueError("an unknown mark")
    place, quote = inert(str(values["place"]), LONGEST_PLACE), inert(str(values["quote"]))
    return Mark(values["maker"], values["kind"], place, quote)
