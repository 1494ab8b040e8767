"""Results on pictures whose source and generator were in no training, and the calibration."""

import math
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from antifake.core.verdict import Bands
from antifake.trainer.calibration import Numbers, Truth, balance, log_loss, threshold_within

from .folds import Fold

FALSE_ALARMS = 0.10
"""Share of the left-out real pictures that may lie above the threshold."""
CALLED_AI_MADE = 0.05
"""Share of them that the verdict may call "AI-made", instead of "cannot tell"."""


@dataclass(frozen=True)
class HeldOut:
    """Truth bool [n] and margins [n] of the pictures that each fold left out."""

    parts: list[tuple[Fold, Truth, Numbers]]

    @property
    def aucs(self) -> list[float]:
        return [float(roc_auc_score(truth, margins)) for _, truth, margins in self.parts]

    def together(self) -> tuple[Truth, Numbers]:
        """Returns truth and margins of all folds, [n] each."""
        return (
            np.concatenate([truth for _, truth, _ in self.parts]),
            np.concatenate([margins for *_, margins in self.parts]),
        )

    def summary(self) -> dict[str, object]:
        """Returns the mean AUC over the folds, with a bootstrap interval over the folds."""
        aucs = np.array(self.aucs)
        random = np.random.default_rng(0)
        means = [random.choice(aucs, len(aucs)).mean() for _ in range(2000)]
        low, high = np.quantile(means, [0.025, 0.975])
        return {
            "leave_out_auc": round(float(aucs.mean()), 3),
            "leave_out_auc_95": [round(float(low), 3), round(float(high), 3)],
            "leave_out_auc_folds": [round(auc, 3) for auc in self.aucs],
        }


@dataclass(frozen=True)
class Calibration:
    """Threshold, temperature and bands, with the error rates that they give."""

    threshold: float
    temperature: float
    bands: Bands
    false_alarms: float
    """Share of the real pictures above the threshold."""
    caught: float
    """Share of the AI-made pictures above the threshold."""

    def __str__(self) -> str:
        return (
            f"threshold {self.threshold:.3f}, temperature {self.temperature:.3f}, "
            f"{self.bands}: left-out real pictures called AI-made {self.false_alarms:.1%}, "
            f"left-out AI-made pictures caught {self.caught:.1%}"
        )


def calibrate(held: HeldOut) -> Calibration:
    """Fits the threshold to the false-alarm budget, then the temperature by likelihood."""
    truth, margins = held.together()
    real_margins = margins[~truth]
    # Stored with four decimals. Rounded down, the picture at the threshold would lie above it.
    threshold = math.ceil(1e4 * threshold_within(FALSE_ALARMS, real_margins)) / 1e4
    temperature = best_temperature(threshold, margins, truth)
    highest = threshold_within(CALLED_AI_MADE, real_margins)
    p_highest = 1 / (1 + math.exp((threshold - highest) / temperature))
    called = margins > threshold
    return Calibration(
        threshold=threshold,
        temperature=temperature,
        bands=Bands(fake_above=max(Bands().fake_above, math.ceil(100 * p_highest) / 100)),
        false_alarms=float(called[~truth].mean()),
        caught=float(called[truth].mean()),
    )


def best_temperature(threshold: float, margins: Numbers, truth: Truth) -> float:
    """Returns the likeliest of 200 temperatures for margins [n] and truth bool [n]."""
    weights, target = balance(truth), truth.astype(float)
    candidates = np.geomspace(0.05, 10, 200)
    losses = [log_loss((margins - threshold) / one, target, weights) for one in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 4)
