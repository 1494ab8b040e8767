"""The gate: whether a candidate may replace the prompt in use. In words; imports no torch.

Two things are asked of it. On the person's own answers, each judged by a fit that never saw it,
balanced accuracy must rise, and it must not be chance: the lower end of a 90 % interval of the
fall of the Brier score lies above 0. With a few dozen answers, the Brier score tells much sooner
than the accuracy does, as it sees each p_fake move and not only those that cross 0.5. On the base
set, pictures of other sources, the verdicts must not be more than one point worse than the
shipped prompt's, on real pictures and on AI-made ones apart. A wrong verdict counts as nothing and
"cannot tell" as half: what is told to people is what can do harm, and p_fake crosses 0.5 in the
middle of "cannot tell".
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from antifake.core.i18n import _
from antifake.trainer.calibration import Numbers, Truth

INTERVAL = 0.90
"""Its lower end is passed by chance in 5 % of the cases in which nothing has changed."""
DRAWS = 4000
MAX_LOSS = 0.01
"""Of the base set, for each class."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class HeldOut:
    """How n answers are judged by fits without them."""

    right: Numbers
    """Share [n] of the fits that judge it correctly."""
    p_fake: Numbers
    """[n]; the mean over the fits."""


@dataclass(frozen=True)
class OwnAnswers:
    """The person's own pictures before and after. A group of near-duplicates counts once, and
    both classes have the same weight."""

    before: float
    """Balanced accuracy."""
    after: float
    difference: float
    brier_before: float
    brier_after: float
    low: float
    """The ends of the interval of the fall of the Brier score."""
    high: float
    real_before: float
    """Share of the real pictures that are judged correctly."""
    real_after: float
    fake_before: float
    fake_after: float
    n_real: int
    """Groups."""
    n_fake: int


@dataclass(frozen=True)
class BaseRates:
    """Means over the base set, where a right verdict counts 1 and "cannot tell" a half."""

    n_real: int
    n_fake: int
    real_before: float
    real_after: float
    fake_before: float
    fake_after: float


@dataclass(frozen=True)
class Decision:
    passes: bool
    reason: str
    """A sentence for the person."""


def own_answers(
    before: HeldOut, after: HeldOut, is_fake: Truth, groups: np.ndarray, seed: int
) -> OwnAnswers:
    """Compares two prompts on the same pictures, by a paired bootstrap over groups.

    `groups` int [n] are the same for near-duplicates, which have one label.
    """
    values = np.stack(
        [before.right, after.right, (before.p_fake - is_fake) ** 2, (after.p_fake - is_fake) ** 2],
        axis=1,
    )
    classes = {label: _by_group(values, groups, is_fake == label) for label in (False, True)}
    random = np.random.default_rng(seed)
    falls = sum(
        fall[random.integers(len(fall), size=(DRAWS, len(fall)))].mean(axis=1) / 2
        for fall in (means[:, 2] - means[:, 3] for means in classes.values())
    )  # [DRAWS]
    low, high = np.quantile(falls, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    real, fake = classes[False].mean(axis=0), classes[True].mean(axis=0)
    was, is_now, brier_before, brier_after = (real + fake) / 2
    return OwnAnswers(
        before=float(was),
        after=float(is_now),
        difference=float(is_now - was),
        brier_before=float(brier_before),
        brier_after=float(brier_after),
        low=float(low),
        high=float(high),
        real_before=float(real[0]),
        real_after=float(real[1]),
        fake_before=float(fake[0]),
        fake_after=float(fake[1]),
        n_real=len(classes[False]),
        n_fake=len(classes[True]),
    )


def _by_group(values: np.ndarray, groups: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the means of the values [n, k] in each chosen group, [groups, k]."""
    numbers, place = np.unique(groups[chosen], return_inverse=True)
    sums = np.zeros((len(numbers), values.shape[1]))
    np.add.at(sums, place, values[chosen])
    means: np.ndarray = sums / np.bincount(place)[:, None]
    return means


def base_rates(before: Numbers, after: Numbers, is_fake: Truth) -> BaseRates:
    """Returns the means of what the verdicts [n] count for, before and after."""
    return BaseRates(
        n_real=int((~is_fake).sum()),
        n_fake=int(is_fake.sum()),
        real_before=float(before[~is_fake].mean()),
        real_after=float(after[~is_fake].mean()),
        fake_before=float(before[is_fake].mean()),
        fake_after=float(after[is_fake].mean()),
    )


def decide(own: OwnAnswers, base: BaseRates | None, *, keeps_budget: bool = False) -> Decision:
    """Returns whether a candidate passes, and why.

    `keeps_budget`: its threshold was raised to keep a false-alarm budget. Then fewer real pictures
    must be called AI-made, and the AI-made ones that are missed for it are what was asked for.
    """
    if base is None:
        return Decision(False, _("There are no pictures to check that it does no harm elsewhere."))
    if keeps_budget:
        return _decide_budget(own, base)
    if own.difference <= _ROUNDING or own.low <= 0:
        return Decision(False, _not_better(own))
    if objection := _harm(base):
        return Decision(False, objection)
    return Decision(True, f"{_better(own)} {_unharmed(base)}")


def _decide_budget(own: OwnAnswers, base: BaseRates) -> Decision:
    if own.real_after < own.real_before - _ROUNDING:
        return Decision(False, _("More of your own real pictures would be called AI-made."))
    if objection := _worse_on_real(base):
        return Decision(False, objection)
    return Decision(
        True,
        _(
            "It keeps your budget of false alarms. Of your AI-made pictures it recognises "
            "{after} % (before: {before} %).",
            after=_percent(own.fake_after),
            before=_percent(own.fake_before),
        ),
    )


def _percent(share: float) -> int:
    return round(100 * share)


def _better(own: OwnAnswers) -> str:
    return _(
        "On your own pictures it is right more often: {after} % instead of {before} %. That is "
        "hardly chance: its percentages are closer to your answers, too.",
        after=_percent(own.after),
        before=_percent(own.before),
    )


def _not_better(own: OwnAnswers) -> str:
    if own.difference <= _ROUNDING:
        return _(
            "On your own pictures it would not be right more often ({after} % instead of "
            "{before} %).",
            after=_percent(own.after),
            before=_percent(own.before),
        )
    return _(
        "On your own pictures it would be right more often ({after} % instead of {before} %), but "
        "that may be chance: {real} real and {fake} AI-made pictures are too few to tell.",
        after=_percent(own.after),
        before=_percent(own.before),
        real=own.n_real,
        fake=own.n_fake,
    )


def _harm(base: BaseRates) -> str | None:
    return _worse_on_real(base) or _worse_on_fake(base)


def _worse_on_real(base: BaseRates) -> str | None:
    if base.real_after >= base.real_before - MAX_LOSS - _ROUNDING:
        return None
    return _(
        "On other pictures it would be worse: its verdicts on real ones would be right {after} % "
        "of the time instead of {before} % (“cannot tell” counts half).",
        after=_percent(base.real_after),
        before=_percent(base.real_before),
    )


def _worse_on_fake(base: BaseRates) -> str | None:
    if base.fake_after >= base.fake_before - MAX_LOSS - _ROUNDING:
        return None
    return _(
        "On other pictures it would be worse: its verdicts on AI-made ones would be right "
        "{after} % of the time instead of {before} % (“cannot tell” counts half).",
        after=_percent(base.fake_after),
        before=_percent(base.fake_before),
    )


def _unharmed(base: BaseRates) -> str:
    return _(
        "On other pictures its verdicts are not worse: right on {real} % of real ones (before: "
        "{real_before} %) and {fake} % of AI-made ones (before: {fake_before} %), where “cannot "
        "tell” counts half.",
        real=_percent(base.real_after),
        real_before=_percent(base.real_before),
        fake=_percent(base.fake_after),
        fake_before=_percent(base.fake_before),
    )


def rounded(part: OwnAnswers | BaseRates) -> dict[str, Any]:
    """Returns the fields for a report, with shares to six decimals."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(part).items()
    }
