"""The charts of the report. Lines differ in colour, style and name."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from antifake.core.i18n import _
from antifake.trainer.evaluate import THRESHOLD

from .drawing import COLOUR, STYLE, inline_svg, new_figure
from .estimates import Flags, Numbers, wilson
from .measures import BINS, Scores
from .robustness import Degraded

MOST_POINTS = 400
"""Points on one curve. More cannot be seen."""

Curve = Callable[[Scores], tuple[Numbers, Numbers]]


def roc(ours: Scores, blind: Scores | None) -> Markup:
    """Draws the ROC curve."""
    names = _("Share of real pictures above the threshold"), _("Share of AI-made ones above it")
    title = _("ROC curve: real pictures above each threshold against AI-made ones")
    with mpl.rc_context(STYLE):
        figure = new_figure(4.2)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=COLOUR["ink"], linewidth=0.8, linestyle=":")
        _curves(axes, _roc_points, ours, blind)
        _unit_square(axes, *names)
        axes.legend(loc="lower right")
    return inline_svg(figure, "roc", title)


def precision_recall(ours: Scores, blind: Scores | None) -> Markup:
    """Draws precision against recall."""
    names = _("Share of AI-made pictures above the threshold"), _("Share AI-made above it")
    with mpl.rc_context(STYLE):
        figure = new_figure(4.2)
        axes = figure.subplots()
        axes.axhline(ours.truth.mean(), color=COLOUR["ink"], linewidth=0.8, linestyle=":")
        _curves(axes, _precision_points, ours, blind)
        _unit_square(axes, *names)
        axes.legend(loc="lower left")
    return inline_svg(figure, "precision", _("Precision and recall over all thresholds"))


def histogram(ours: Scores) -> Markup:
    """Draws the scores of each class in 25 bins, with the threshold and the unsure band."""
    reals, fakes = int((~ours.truth).sum()), int(ours.truth.sum())
    classes = (
        (~ours.truth, _("real pictures, {n:,}", n=reals), "real", ""),
        (ours.truth, _("AI-made, {n:,}", n=fakes), "made", "///"),
    )
    with mpl.rc_context(STYLE):
        figure = new_figure(3.6)
        panels: Sequence[Axes] = figure.subplots(2, 1, sharex=True)
        for axes, (members, name, colour, hatch) in zip(panels, classes, strict=True):
            _mark_decision(axes, ours)
            axes.hist(
                ours.p_fake[members],
                bins=25,
                range=(0, 1),
                color=COLOUR[colour],
                edgecolor=COLOUR["paper"],
                linewidth=0.5,
                hatch=hatch,
            )
            axes.set_title(name)
            axes.set_ylabel(_("pictures"))
            axes.set_xlim(0, 1)
        panels[-1].set_xlabel("p_fake")
    return inline_svg(figure, "histogram", _("Histogram of p_fake for real and AI-made pictures"))


def reliability(ours: Scores) -> Markup:
    """Draws the reliability diagram of ten bins, with Wilson's intervals."""
    found = [wilson(float(here.sum()), len(here)) for here in _by_bin(ours, ours.truth)]
    means = [float(here.mean()) if len(here) else np.nan for here in _by_bin(ours, ours.p_fake)]
    bars = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
    with mpl.rc_context(STYLE):
        figure = new_figure(4.2)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=COLOUR["ink"], linewidth=0.8, linestyle=":")
        axes.errorbar(
            means,
            [one.value for one in found],
            yerr=bars,
            color=COLOUR["ours"],
            marker="o",
            markersize=5,
            linewidth=1.5,
            elinewidth=1,
            capsize=2,
            clip_on=False,
        )
        _unit_square(axes, _("Mean p_fake of a tenth"), _("Share AI-made in it"))
    title = _("Reliability: mean score against share of AI-made")
    return inline_svg(figure, "reliability", title)


def robustness(rows: Sequence[Degraded]) -> Markup:
    """Draws AUC and balanced accuracy after each degradation, beside those without one."""
    shown = (
        ("auc", "AUC", "ours", "o"),
        ("balanced_accuracy", _("balanced accuracy"), "made", "s"),
    )
    places = np.arange(len(rows))[::-1]
    with mpl.rc_context(STYLE):
        figure = new_figure(0.9 + 0.27 * len(rows))
        axes = figure.subplots()
        for offset, (key, name, colour, marker) in zip((0.13, -0.13), shown, strict=True):
            found = [row.figures[key] for row in rows]
            bars = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            axes.axvline(found[0].value, color=COLOUR[colour], linewidth=0.8, linestyle="--")
            axes.errorbar(
                [one.value for one in found],
                places + offset,
                xerr=bars,
                color=COLOUR[colour],
                marker=marker,
                markersize=4.5,
                linestyle="none",
                elinewidth=1,
                label=name,
            )
        axes.set_yticks(places, [row.name for row in rows])
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(_percent())
        figure.legend(loc="outside upper left", ncols=2)
    title = _("AUC and balanced accuracy after each degradation")
    return inline_svg(figure, "robustness", title)


def _by_bin(scores: Scores, values: Numbers | Flags) -> list[Any]:
    return [values[scores.bins == number] for number in range(BINS)]


def _curves(axes: Axes, points: Curve, ours: Scores, blind: Scores | None) -> None:
    axes.plot(*points(ours), color=COLOUR["ours"], linewidth=1.8, label="antifake")
    if blind:
        label = _("sees no pixels")
        axes.plot(*points(blind), color=COLOUR["blind"], linewidth=1.5, ls="--", label=label)


def _roc_points(scores: Scores) -> tuple[Numbers, Numbers]:
    alarms, caught, _thresholds = roc_curve(scores.truth, scores.p_fake)
    return _thinned(alarms), _thinned(caught)


def _precision_points(scores: Scores) -> tuple[Numbers, Numbers]:
    precision, recall, _thresholds = precision_recall_curve(scores.truth, scores.p_fake)
    # The last point exists by definition only, above a threshold that no score reaches.
    return _thinned(recall[:-1]), _thinned(precision[:-1])


def _thinned(values: Numbers) -> Numbers:
    kept = np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int)
    thinned: Numbers = values[kept]
    return thinned


def _unit_square(axes: Axes, across: str, up: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=across, ylabel=up)
    axes.xaxis.set_major_formatter(_percent())
    axes.yaxis.set_major_formatter(_percent())


def _percent() -> PercentFormatter:
    return PercentFormatter(1, 0, symbol=" %")


def _mark_decision(axes: Axes, scores: Scores) -> None:
    bands = scores.bands
    axes.axvspan(bands.real_below, bands.fake_above, color=COLOUR["band"], linewidth=0)
    axes.axvline(THRESHOLD, color=COLOUR["ink"], linewidth=1, linestyle="--")
