"""The verdict on a picture, for programs and for people.

Bands turn p_fake into a label here; nothing else in the product does.
"""

from dataclasses import dataclass
from typing import Literal

from .i18n import _

Label = Literal["real", "fake", "unsure"]

SURE = 0.9
"""From this p_fake on the words leave out "likely". No picture is called surely real: that no
trace was found proves nothing."""


@dataclass(frozen=True)
class Bands:
    """The range of p_fake around 0.5 in which the label is "unsure"."""

    real_below: float = 0.4
    fake_above: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.real_below <= 0.5 <= self.fake_above <= 1:
            raise ValueError(f"bands must hold 0.5 between them, not {self}")

    def label(self, p_fake: float) -> Label:
        """Returns the label; both edges of the band are "unsure".

        >>> [Bands().label(p_fake) for p_fake in (0.3, 0.4, 0.6, 0.7)]
        ['real', 'unsure', 'unsure', 'fake']
        """
        if p_fake > self.fake_above:
            return "fake"
        return "real" if p_fake < self.real_below else "unsure"


@dataclass(frozen=True)
class Verdict:
    """The outcome of judging one picture once."""

    p_fake: float
    """Calibrated probability, in [0, 1], that a generator made the picture."""
    label: Label
    model: str
    """Name of the model and the start of its fingerprint, `mini@1f3a90c2`."""
    prompt: str
    """The learned prompt that was asked with: `name@` and 8 hex digits of its sha256."""
    part_scores: tuple[float, ...] = ()
    """p_fake of each part of the picture, as if it were all of it, in the order of its parts."""

    @property
    def word(self) -> str:
        """The words a person reads."""
        return word(self.label, self.p_fake)


def percent(label: Label, p_fake: float) -> int:
    """Returns how sure a verdict is, in 1 .. 99, as no verdict is ever certain.

    >>> percent("fake", 0.87), percent("real", 0.2), percent("fake", 1.0)
    (87, 80, 99)
    """
    sure = p_fake if label == "fake" else 1 - p_fake
    return min(99, max(1, round(100 * sure)))


def is_sure(label: Label, p_fake: float) -> bool:
    """Returns whether the words leave out "likely"."""
    return label == "fake" and p_fake >= SURE


def word(label: Label, p_fake: float) -> str:
    """Returns the words for a label; "fake" itself is an accusation and never shown.

    >>> word("fake", 0.95), word("fake", 0.7), word("real", 0.01), word("unsure", 0.5)
    ('AI-made', 'likely AI-made', 'likely real', 'cannot tell')
    """
    if label == "fake":
        return _("AI-made") if is_sure(label, p_fake) else _("likely AI-made")
    return _("likely real") if label == "real" else _("cannot tell")
