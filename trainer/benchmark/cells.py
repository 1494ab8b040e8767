"""Words and numbers in the cells of tables."""

import numpy as np

from antifake.core.i18n import _
from antifake.trainer.report.estimates import Estimate

from .figures import Detector, Mean
from .results import DELIVERED, OFFICIAL

NOTHING = "-"


def run_name(detector: Detector) -> str:
    """Returns model, prompt and protocol, in words."""
    parts = [detector.model, detector.prompt]
    parts += [_("official ranking")] if detector.protocol == OFFICIAL else []
    return ", ".join(filter(None, parts))


def detector_name(detector: Detector) -> str:
    return f"{run_name(detector)}, {alignment_name(detector.alignment)}"


def alignment_name(alignment: str) -> str:
    return _("as delivered") if alignment == DELIVERED else alignment


def percent(share: float) -> str:
    """Returns a share in percent; "-" for NaN.

    >>> percent(0.915), percent(float("nan"))
    ('91.5', '-')
    """
    return NOTHING if np.isnan(share) else f"{100 * share:.1f}"


def interval(found: Estimate) -> str:
    """Returns an estimate in percent, with its interval."""
    if not found.is_known:
        return NOTHING
    return f"{percent(found.value)} [{percent(found.low)}, {percent(found.high)}]"


def mean_of(found: Mean) -> str:
    """Returns a mean in percent, with its interval and over how many sets it is."""
    if not found.estimate.is_known:
        return NOTHING
    return f"{interval(found.estimate)} {over(found.n, found.of)}"


def over(n: int, of: int) -> str:
    """Returns over how many sets of how many a mean is."""
    return _("({n} of {of} sets)", n=n, of=of)
