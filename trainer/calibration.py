"""Calibration (Platt scaling): a threshold and a temperature that turn margins into p_fake.

p = sigmoid((margin - threshold) / temperature), fitted by maximum likelihood on held-out pictures.
Both classes have the same weight, so their sizes do not matter.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.optimize import brentq

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.prompt_file import PromptMetadata

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Truth = np.ndarray[tuple[int], np.dtype[np.bool_]]

ENOUGH = 25
"""Pictures needed of each class. With fewer, the two numbers would be overfitted."""
BINS = 10


@dataclass(frozen=True)
class Quality:
    """How well p_fake fits the truth. Lower is better; both classes have the same weight."""

    brier: float
    log_loss: float
    calibration_error: float
    """Expected calibration error over ten equal bins, in [0, 1]."""
    false_alarms: float
    """Share of the real pictures with p_fake above 0.5."""
    missed: float
    """Share of the AI-made pictures with p_fake at most 0.5."""

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 6) for name, value in asdict(self).items()}


def enough(is_fake: Truth) -> bool:
    """Returns whether is_fake, bool [n], has enough pictures of both classes to calibrate on."""
    return min(int(is_fake.sum()), int((~is_fake).sum())) >= ENOUGH


def calibrated(
    about: PromptMetadata, margins: Numbers, is_fake: Truth, false_alarms: float | None = None
) -> PromptMetadata:
    """Returns the metadata with threshold and temperature fitted to margins [n] and is_fake [n].

    `false_alarms` puts the threshold where at most that share of the real pictures lies above
    it. Raises UsageError where the margins do not tell the classes apart.
    """
    threshold, temperature = fit(margins, is_fake)
    if false_alarms is not None:
        threshold = threshold_within(false_alarms, margins[~is_fake])
    return replace(about, threshold=threshold, temperature=temperature)


def threshold_within(false_alarms: float, real_margins: Numbers) -> float:
    """Returns a threshold that keeps a budget of false alarms.

    At most the share `false_alarms`, in [0, 1], of `real_margins` [n] lies above it.
    "higher" gives one of the margins and never exceeds the budget. NumPy's default
    interpolates between two margins and can let one picture too many pass: 2 of 15 for a
    budget of 10 %.

    >>> threshold_within(0.1, np.arange(15.0))
    13.0
    """
    return float(np.quantile(real_margins, 1 - false_alarms, method="higher"))


def fit(margins: Numbers, is_fake: Truth, counts: Numbers | None = None) -> tuple[float, float]:
    """Returns the threshold and temperature of maximum likelihood for margins [n], is_fake [n].

    The targets are Platt's, (n + 1) / (n + 2) instead of 1. With 1, classes that do not overlap
    would need a temperature of 0. `counts` [n] is how much each picture counts; None: 1.
    """
    target = _targets(is_fake, counts)
    middle, scale = float(margins.mean()), float(margins.std()) or 1.0
    x = np.stack([(margins - middle) / scale, np.ones_like(margins)], axis=1)  # [n, 2]
    slope, bias = _newton(x, target, balance(is_fake, counts))
    if slope <= 0:
        raise UsageError(
            _(
                "On these pictures the model's answers do not tell real from AI-made, or tell it "
                "the wrong way round: there is nothing to calibrate. Are the labels right?"
            )
        )
    return middle - scale * bias / slope, scale / slope


def fit_threshold(
    margins: Numbers, is_fake: Truth, temperature: float, counts: Numbers | None = None
) -> float:
    """Returns the threshold of maximum likelihood at a given temperature.

    margins, is_fake and counts are [n], as for `fit`.
    """
    target, weight = _targets(is_fake, counts), balance(is_fake, counts)

    def excess(threshold: float) -> float:  # falls as the threshold grows
        return float((weight * (_sigmoid((margins - threshold) / temperature) - target)).sum())

    low, high = float(margins.min()), float(margins.max())
    reach = 20 * temperature
    return float(brentq(excess, low - reach, high + reach))


def _targets(is_fake: Truth, counts: Numbers | None) -> Numbers:
    each = np.ones(len(is_fake)) if counts is None else counts
    fakes, reals = each[is_fake].sum(), each[~is_fake].sum()
    targets: Numbers = np.where(is_fake, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    return targets


def _newton(x: np.ndarray, target: Numbers, weight: Numbers) -> tuple[float, float]:
    """Fits logistic regression with x [n, 2], target [n] and weight [n]; returns slope and bias.

    The loss is convex, so it is enough to halve steps that overshoot.
    """
    w = np.zeros(2)
    for _round in range(100):
        p = _sigmoid(x @ w)
        gradient = x.T @ (weight * (p - target))
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while log_loss(x @ (w - step), target, weight) > log_loss(x @ w, target, weight) + 1e-12:
            step /= 2
        w -= step
        if np.abs(step).max() < 1e-9:
            break
    return float(w[0]), float(w[1])


def quality(about: PromptMetadata, margins: Numbers, is_fake: Truth) -> Quality:
    """Returns how good p_fake is for margins [n] with known truth is_fake, bool [n]."""
    logits = (margins - about.threshold) / about.temperature
    p, weight = _sigmoid(logits), balance(is_fake)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    off = [abs(float((weight * (p - is_fake))[bins == b].sum())) for b in range(BINS)]
    return Quality(
        brier=float((weight * (p - is_fake) ** 2).sum()),
        log_loss=log_loss(logits, is_fake.astype(float), weight),
        calibration_error=sum(off),
        false_alarms=float((p[~is_fake] > 0.5).mean()),
        missed=float((p[is_fake] <= 0.5).mean()),
    )


def balance(is_fake: Truth, counts: Numbers | None = None) -> Numbers:
    """Returns weights [n] for is_fake, bool [n], that sum to 0.5 in each class.

    `counts` [n] is how much each picture counts in its class; None: 1.
    """
    each = np.ones(len(is_fake)) if counts is None else counts
    fakes, reals = each[is_fake].sum() or 1.0, each[~is_fake].sum() or 1.0
    weights: Numbers = each * np.where(is_fake, 0.5 / fakes, 0.5 / reals)
    return weights


def _sigmoid(x: Numbers) -> Numbers:
    half: Numbers = 0.5 * np.tanh(0.5 * x)  # which does not overflow
    return half + 0.5


def log_loss(logits: Numbers, target: Numbers, weight: Numbers) -> float:
    """Returns the weighted cross-entropy of logits [n] with targets [n] in [0, 1].

    `weight` [n] sums to 1.
    """
    return float((weight * (np.logaddexp(0, logits) - target * logits)).sum())
