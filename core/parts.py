"""The parts of a picture that are judged, and one verdict from theirs.

The model sees a square. So a picture is judged in several: squares along its longer side, the
pictures on a screenshot, a scan or a collage (core.layout), and three frames of an animation.

More looks are more chances to be wrong. The picture's score is therefore the highest of its parts'
less an allowance that grows with their number, which keeps the rate of false alarms of a picture
what it is for one square.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from .i18n import _
from .verdict import Bands, Label

MAX_PARTS_OF_FIRST_FRAME = 32
MAX_PARTS_OF_LATER_FRAME = 8
WIDE = 1.25
"""Up to this ratio of the sides the middle square is judged alone, which is four fifths of it."""
_NEARLY_ALL = 0.8
ALLOWANCE = 0.15
"""The odds of n parts are divided by n to this power."""
MAX_PARTS = MAX_PARTS_OF_FIRST_FRAME + 2 * MAX_PARTS_OF_LATER_FRAME


@dataclass(frozen=True)
class Box:
    """A rectangle in fractions of the upright picture: 0, 0, 1, 1 is all of it."""

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        edges = (self.left, self.top, self.width, self.height)
        if not all(0 <= edge <= 1 for edge in edges) or min(self.width, self.height) == 0:
            raise ValueError(f"{edges} is no part of a picture")

    def within(self, outer: "Box") -> "Box":
        """Returns where a part of `outer` is in what `outer` is a part of."""
        return Box(
            outer.left + self.left * outer.width,
            outer.top + self.top * outer.height,
            self.width * outer.width,
            self.height * outer.height,
        )


@dataclass(frozen=True)
class Part:
    box: Box
    frame: int = 0
    """Of an animation, or the page of a TIFF; the first is 0."""

    def to_list(self) -> list[float]:
        """Returns left, top, width, height and frame, as databases and other processes get them."""
        box = self.box
        return [*(round(n, 4) for n in (box.left, box.top, box.width, box.height)), self.frame]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> Self:
        """Raises ValueError or TypeError for what `to_list` does not make."""
        left, top, width, height, frame = values
        return cls(Box(left, top, width, height), int(frame))


WHOLE = Part(Box(0.0, 0.0, 1.0, 1.0))


@dataclass(frozen=True)
class JudgedPart:
    part: Part
    p_fake: float
    """As if the part were all of the picture."""

    def __post_init__(self) -> None:
        if not 0 <= self.p_fake <= 1:
            raise ValueError(f"{self.p_fake} is no probability")

    def to_list(self) -> list[float]:
        return [*self.part.to_list(), round(self.p_fake, 4)]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> Self:
        *part, p_fake = values
        return cls(Part.from_list(part), p_fake)

    def to_dict(self) -> dict[str, Any]:
        *box, frame, p_fake = self.to_list()
        return {"box": box, "frame": frame, "p_fake": p_fake}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ValueError, LookupError or TypeError for what `to_dict` does not make."""
        return cls.from_list([*values["box"], values["frame"], float(values["p_fake"])])


def judged_parts(parts: Sequence[Part], scores: Sequence[float]) -> tuple[JudgedPart, ...]:
    return tuple(JudgedPart(part, score) for part, score in zip(parts, scores, strict=True))


def combined(scores: Sequence[float]) -> float:
    """Returns p_fake of a picture from the p_fake of its parts, each in [0, 1].

    >>> combined([0.2]), round(combined([0.2, 0.9, 0.1]), 3)
    (0.2, 0.884)
    """
    highest, n = max(scores), len(scores)
    allowance = float(n**ALLOWANCE)
    return highest / (highest + (1 - highest) * allowance)


def standing_out(parts: Sequence[JudgedPart], label: Label | None) -> Part | None:
    """Returns the part that made a picture's label "fake", if most parts do not look AI-made.

    `label` is the picture's, and no part is called more than that. The part with the highest score
    has at least the picture's, so the same bands call it AI-made. Whatever the bands are, they
    never call a part so that is at 0.5 or below; those between count as if they might be.
    """
    if label != "fake" or not parts:
        return None
    if 2 * sum(one.p_fake > 0.5 for one in parts) > len(parts):
        return None
    return max(parts, key=lambda one: one.p_fake).part


def looks_made(one: JudgedPart, label: Label | None, p_fake: float | None) -> bool:
    """Returns whether a part of a picture with this verdict looks AI-made, too.

    It never does in a picture that is not called AI-made. What reached the picture's own score is
    in the same band; the edge of the bands that are usual decides on the parts below.
    """
    if label != "fake" or p_fake is None:
        return False
    return one.p_fake >= p_fake or one.p_fake > Bands().fake_above


def where(part: Part) -> str:
    """Returns where a part is, in words; "" for one that is nearly all of the picture.

    >>> where(Part(Box(0.7, 0, 0.3, 1))), where(Part(Box(0.1, 0.6, 0.2, 0.3), 7))
    ('on the right', 'in a later frame, at the bottom left')
    """
    box = part.box
    place = _PLACES[_third(box.left, box.width), _third(box.top, box.height)]
    if min(box.width, box.height) >= _NEARLY_ALL:
        place = ""
    if not part.frame:
        return place
    return _("in a later frame, {place}", place=place) if place else _("in a later frame")


def places(parts: Sequence[Part]) -> list[str]:
    """Returns where each part is; those that share their words are numbered in this order.

    >>> places([Part(Box(0, 0, 0.1, 1)), Part(Box(0.1, 0, 0.1, 1)), Part(Box(0.9, 0, 0.1, 1))])
    ['on the left (1 of 2)', 'on the left (2 of 2)', 'on the right']
    """
    found = [where(part) or _("all of it") for part in parts]
    total, so_far = Counter(found), Counter[str]()
    told = []
    for place in found:
        so_far[place] += 1
        many = _("{place} ({n} of {total})", place=place, n=so_far[place], total=total[place])
        told.append(many if total[place] > 1 else place)
    return told


_PLACES = {
    (-1, -1): _("at the top left"),
    (0, -1): _("at the top"),
    (1, -1): _("at the top right"),
    (-1, 0): _("on the left"),
    (0, 0): _("in the middle"),
    (1, 0): _("on the right"),
    (-1, 1): _("at the bottom left"),
    (0, 1): _("at the bottom"),
    (1, 1): _("at the bottom right"),
}
"""What people read for left, middle or right, and top, middle or bottom."""


def _third(begin: float, length: float) -> int:
    """Returns -1 for the left or the top, 1 for the right or the bottom, 0 in between."""
    middle = begin + length / 2
    if length >= _NEARLY_ALL or 0.4 <= middle <= 0.6:
        return 0
    return 1 if middle > 0.5 else -1
