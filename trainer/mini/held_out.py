"""Results on pictures of owners that were left out of training, and the calibration that follows.

What a person is told must be right about pictures of sources that nobody has seen yet. So sources
count alike here, however many pictures they have, and the verdicts keep their promises for each
kind of picture, not only on average.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from antifake.core.verdict import Bands
from antifake.trainer.calibration import Numbers, Truth, balance, log_loss

from .unseen import Estimate, Judged, estimate

FALSE_ALARMS = 0.10
"""Share of the real pictures that may lie above the threshold, where p_fake is 0.5."""
MISSED = 0.20
"""Share of the AI-made pictures that a verdict may call "likely real"."""
LIMITS = {
    "photo": 0.05,
    "photo_face": 0.10,
    "art": 0.15,
    "comic": 0.15,
    "meme": 0.15,
    "screenshot": 0.15,
}
"""Share of the real pictures of each kind that a verdict may call "AI-made"."""
OTHER = 0.15
"""The same for all other kinds, together."""
ENOUGH = 25
"""A kind with fewer real pictures counts as one of the others."""


@dataclass(frozen=True)
class HeldOut:
    """What models said of the pictures that were left out of their training, a part a model."""

    parts: Sequence[Judged]

    @cached_property
    def estimate(self) -> Estimate:
        return estimate(self.parts)

    def together(self) -> tuple[Truth, Numbers, Numbers]:
        """Returns truth, margins and weights of all pictures, [n] each.

        Sources weigh the same, and so do the real and the AI-made pictures as a whole.
        """
        truth = np.concatenate([one.truth for one in self.parts])
        margins = np.concatenate([one.margins for one in self.parts])
        names = [
            (part, is_fake, source)
            for part, one in enumerate(self.parts)
            for is_fake, source in zip(one.truth.tolist(), one.sources, strict=True)
        ]
        sizes = Counter(names)
        weights = np.array([1 / sizes[name] for name in names])
        for label in (False, True):
            weights[truth == label] /= max(1e-9, weights[truth == label].sum())
        return truth, margins, weights

    def kinds(self) -> list[str]:
        """Returns what each picture counts for: one of LIMITS with enough real ones, or ""."""
        kinds = [kind for one in self.parts for kind in one.kinds]
        truth = np.concatenate([one.truth for one in self.parts])
        real = Counter(kind for kind, is_fake in zip(kinds, truth, strict=True) if not is_fake)
        return [kind if kind in LIMITS and real[kind] >= ENOUGH else "" for kind in kinds]

    def summary(self) -> dict[str, object]:
        """Returns the AUC on owners left out, with its interval and that of each split."""
        found = self.estimate
        return {
            "leave_out_auc": round(found.auc, 3),
            "leave_out_auc_95": [round(found.low, 3), round(found.high, 3)],
            "leave_out_auc_splits": [round(auc, 3) for auc in found.splits],
        }


@dataclass(frozen=True)
class Rates:
    """What the verdicts would be on left-out pictures, in shares of one kind of them."""

    likely_real: float
    cannot_tell: float
    ai_made: float

    def __str__(self) -> str:
        return (
            f"{self.likely_real:.0%} likely real, {self.cannot_tell:.0%} cannot tell, "
            f"{self.ai_made:.0%} AI-made"
        )


@dataclass(frozen=True)
class Calibration:
    """Threshold, temperature and bands, with what they give on the left-out pictures."""

    threshold: float
    temperature: float
    bands: Bands
    false_alarms: float
    """Share of the real pictures above the threshold; sources count alike."""
    caught: float
    """Share of the AI-made pictures above the threshold."""
    rates: dict[str, Rates]
    """Verdicts on real pictures of each kind, on all of them, and on AI-made ones."""

    def __str__(self) -> str:
        lines = [
            f"threshold {self.threshold:.3f}, temperature {self.temperature:.3f}, "
            f"{self.bands}: left-out real pictures above the threshold {self.false_alarms:.1%}, "
            f"left-out AI-made pictures {self.caught:.1%}",
            *(f"{name}: {rates}" for name, rates in self.rates.items()),
        ]
        return "; ".join(lines)


def calibrate(held: HeldOut) -> Calibration:
    """Fits the threshold to the budget of false alarms, the bands to what verdicts promise.

    The temperature follows by likelihood.
    """
    truth, margins, weights = held.together()
    kinds = np.array(held.kinds())
    real, fake = ~truth, truth
    # Stored with four decimals. Rounded down, the picture at the threshold would lie above it.
    threshold = math.ceil(1e4 * quantile(margins[real], weights[real], 1 - FALSE_ALARMS)) / 1e4
    temperature = best_temperature(threshold, margins, truth, weights)

    def p_fake(margin: float) -> float:
        return 1 / (1 + math.exp((threshold - margin) / temperature))

    highest = max(
        quantile(margins[rows], weights[rows], 1 - LIMITS.get(kind, OTHER))
        for kind in sorted(set(kinds[real]))
        for rows in [real & (kinds == kind)]
    )
    lowest = quantile(margins[fake], weights[fake], MISSED, below=True)
    bands = Bands(
        real_below=min(Bands().real_below, math.floor(100 * p_fake(lowest)) / 100),
        fake_above=max(Bands().fake_above, math.ceil(100 * p_fake(highest)) / 100),
    )
    scores = 1 / (1 + np.exp((threshold - margins) / temperature))
    groups = {"AI-made": fake, "real": real}
    groups |= {
        f"real, {kind or 'other'}": real & (kinds == kind) for kind in sorted(set(kinds[real]))
    }
    return Calibration(
        threshold=threshold,
        temperature=temperature,
        bands=bands,
        false_alarms=float(weights[real & (margins > threshold)].sum()),
        caught=float(weights[fake & (margins > threshold)].sum()),
        rates={name: _rates(scores[rows], weights[rows], bands) for name, rows in groups.items()},
    )


def _rates(scores: Numbers, weights: Numbers, bands: Bands) -> Rates:
    total = weights.sum()
    below = float(weights[scores < bands.real_below].sum() / total)
    above = float(weights[scores > bands.fake_above].sum() / total)
    return Rates(below, max(0.0, 1 - below - above), above)


def quantile(values: Numbers, weights: Numbers, share: float, *, below: bool = False) -> float:
    """Returns the smallest of `values` [n] with at least the weight `share` at or below it.

    At most 1 - share lies above it. With `below`: the largest value with at most the weight
    `share` strictly below it.

    >>> quantile(np.arange(20.0), np.ones(20), 0.9), quantile(np.arange(20.0), np.ones(20), 0.2)
    (17.0, 3.0)
    >>> quantile(np.arange(20.0), np.ones(20), 0.2, below=True)
    4.0
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    # Sums of a thousand weights are off in the last digits.
    at = int(np.searchsorted(reached, share + 1e-9 if below else share - 1e-9))
    return float(values[order][min(at, len(values) - 1)])


def best_temperature(threshold: float, margins: Numbers, truth: Truth, weights: Numbers) -> float:
    """Returns the likeliest of 200 temperatures for margins, truth and weights [n]."""
    target, counts = truth.astype(float), balance(truth, weights)
    candidates = np.geomspace(0.05, 10, 200)
    losses = [log_loss((margins - threshold) / one, target, counts) for one in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 4)
