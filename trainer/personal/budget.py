"""The false-alarm budget: "flag at most 1 in N of my real pictures", with a confidence.

If j of n real pictures lie above a threshold that is one of their own margins, the share of all
such pictures that lies above it is Beta(j + 1, n - j) distributed, whatever the margins look
like (a one-sided tolerance limit, Wilks 1941). Its quantile is also the upper limit of Clopper
and Pearson for j false alarms among n pictures. Imports no torch.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
from antifake.trainer.calibration import Numbers


@dataclass(frozen=True)
class Goal:
    """At most one of `one_in` real pictures is called AI-made, with this confidence."""

    one_in: int
    confidence: float

    def __post_init__(self) -> None:
        if self.one_in < 2 or not 0.5 <= self.confidence < 1:
            raise UsageError(
                _(
                    "A budget of false alarms is 1 in 2 or more pictures, with a confidence of at "
                    "least 50 % and below 100 %."
                )
            )

    @property
    def share(self) -> float:
        return 1 / self.one_in

    @property
    def needed(self) -> int:
        """Returns how many real pictures it takes at least.

        >>> Goal(20, 0.95).needed, Goal(10, 0.95).needed, Goal(100, 0.95).needed
        (59, 29, 299)
        """
        return math.ceil(math.log(1 - self.confidence) / math.log(1 - self.share))

    def allowed(self, n: int) -> int | None:
        """Returns how many of n real pictures may lie above the threshold; None: n is too few."""
        above = np.arange(n)
        # The quantile of a beta distribution. scipy.stats has it, too, but is slow to import.
        fits = betaincinv(above + 1, n - above, self.confidence) <= self.share
        return int(above[fits].max()) if fits.any() else None


@dataclass(frozen=True)
class Outcome:
    """What became of a budget."""

    goal: Goal
    n_real: int
    threshold: float | None
    reason: str

    @property
    def reached(self) -> bool:
        return self.threshold is not None


def within(goal: Goal, real_margins: Numbers) -> Outcome:
    """Returns the lowest threshold that keeps the budget, for margins [n] of real pictures.

    They must not have been fitted to: a margin is one that the picture's own answer had no part in.
    """
    n, percent = len(real_margins), round(100 * goal.confidence)
    allowed = goal.allowed(n)
    if allowed is None:
        reason = ngettext(
            "You need {needed} confirmed real pictures for 1 in {one_in} at {percent} %; there is "
            "{n}.",
            "You need {needed} confirmed real pictures for 1 in {one_in} at {percent} %; there are "
            "{n}.",
            n,
            needed=goal.needed,
            one_in=goal.one_in,
            percent=percent,
        )
        return Outcome(goal, n, None, reason)
    reason = ngettext(
        "{called} of your {n} confirmed real picture would be called AI-made. So with "
        "{percent} % confidence it is at most 1 in {one_in} of pictures like it.",
        "{called} of your {n} confirmed real pictures would be called AI-made. So with "
        "{percent} % confidence it is at most 1 in {one_in} of pictures like them.",
        n,
        called=allowed,
        percent=percent,
        one_in=goal.one_in,
    )
    return Outcome(goal, n, float(np.sort(real_margins)[n - 1 - allowed]), reason)
