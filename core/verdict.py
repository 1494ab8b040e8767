"""What the detector says of a picture, for programs and for people.

The threshold is applied here and nowhere else.
"""

from dataclasses import dataclass
from typing import Literal

Label = Literal["real", "fake", "unsure"]

SURE = 0.9
"""From here on the words drop "likely". A camera picture is never called surely real:
the absence of traces proves nothing."""


@dataclass(frozen=True)
class Bands:
    """Where p_fake is too close to the decision, 0.5, to be called either way."""

    real_below: float = 0.4
    fake_above: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.real_below <= 0.5 <= self.fake_above <= 1:
            raise ValueError(f"bands must hold 0.5 between them, not {self}")

    def label(self, p_fake: float) -> Label:
        """Both edges belong to the band: at the edge nobody is accused."""
        if p_fake > self.fake_above:
            return "fake"
        return "real" if p_fake < self.real_below else "unsure"


@dataclass(frozen=True)
class Verdict:
    """One picture judged once."""

    p_fake: float
    """Calibrated probability, in [0, 1], that a generator made the picture."""
    label: Label
    model: str
    """Name of the model and the start of its fingerprint, `mini@1f3a90c2`."""
    prompt: str
    """The learned prompt that was asked with: `name@` and 8 hex digits of its sha256."""

    @property
    def word(self) -> str:
        """The words a person reads."""
        return word(self.label, self.p_fake)


def percent(label: Label, p_fake: float) -> int:
    """How sure a verdict is, in 1 .. 99: nobody is ever wholly certain."""
    sure = p_fake if label == "fake" else 1 - p_fake
    return min(99, max(1, round(100 * sure)))


def is_sure(label: Label, p_fake: float) -> bool:
    """Whether the words leave out "likely"."""
    return label == "fake" and p_fake >= SURE


def word(label: Label, p_fake: float) -> str:
    """The words for a label; "fake" itself is an accusation and never shown."""
    if label == "fake":
        return "AI-made" if is_sure(label, p_fake) else "likely AI-made"
    return "likely real" if label == "real" else "cannot tell"
