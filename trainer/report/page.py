"""Renders the report as one HTML page without other files, network access or scripts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from antifake.core import i18n_html
from antifake.core.i18n import _
from antifake.core.results import printable
from antifake.trainer.evaluate import THRESHOLD

from . import charts
from .comparison import Comparison
from .estimates import TIMES, Estimate
from .mistakes import Mistake
from .robustness import Robustness
from .tables import confusion, part_tables

HERE = Path(__file__).parent
BLIND_IS_HIGH = 0.7
"""The page warns if the AUC of the baseline without pixels is above this."""
MOST_FAILED = 100
WHAT = {
    "auc": ("AUC", _("how often an AI-made picture scores above a real one")),
    "balanced_accuracy": (_("Balanced accuracy"), _("the mean of the next two")),
    "real_accuracy": (_("Real pictures kept"), _("at or below the threshold")),
    "fake_accuracy": (_("AI-made pictures caught"), _("above the threshold")),
    "false_alarms": (_("Real pictures called AI-made"), _("verdicts above the band")),
    "unsure": (_("Cannot tell"), _("verdicts inside the band")),
    "sure_accuracy": (_("Right where it is sure"), _("of verdicts outside the band")),
    "accuracy": (_("Plain accuracy"), _("flatters where one class is larger")),
}
CARDS = ("auc", "balanced_accuracy", "real_accuracy", "fake_accuracy", "unsure", "sure_accuracy")


@dataclass(frozen=True)
class Contents:
    """The content of the page."""

    what: str
    """The named folders or table, in words, without their location."""
    model: str
    prompt: str
    comparison: Comparison
    failed: Sequence[tuple[str, str]]
    """Name and error of each picture that could not be judged."""
    accused: Sequence[Mistake]
    """Real pictures above the threshold, the worst first."""
    missed: Sequence[Mistake]
    robustness: Robustness | None
    """None: not requested."""


def render(contents: Contents, day: date) -> bytes:
    """Returns the page in UTF-8, the same bytes for the same contents and day."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    i18n_html.install(environment)
    environment.filters |= {"share": share, "number": number, "points": points, "span": span}
    template = environment.get_template("page.html")
    return template.render(_facts(contents, day)).encode()


def _facts(contents: Contents, day: date) -> dict[str, Any]:
    comparison = contents.comparison
    ours, blind = comparison.ours, comparison.blind
    n_fake = int(ours.truth.sum())
    n_real = len(ours.truth) - n_fake
    return {
        "contents": contents,
        "day": day.isoformat(),
        "version": version("antifake"),
        "css": Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        "n_real": n_real,
        "n_fake": n_fake,
        "both": bool(n_real and n_fake),
        "threshold": THRESHOLD,
        "bands": ours.bands,
        "times": TIMES,
        "n_sources": len({one.example.source for one in comparison.judged} - {""}),
        "what": WHAT,
        "cards": CARDS,
        "figures": comparison.figures,
        "blind": comparison.blind_figures,
        "constant": constants(n_real, n_fake),
        "blind_is_high": blind is not None
        and comparison.blind_figures["auc"].value > BLIND_IS_HIGH,
        "confusion": confusion(ours),
        "tables": part_tables(comparison),
        "failed": contents.failed[:MOST_FAILED],
        "charts": _charts(contents, both=bool(n_real and n_fake)),
    }


def _charts(contents: Contents, *, both: bool) -> dict[str, Markup]:
    ours, blind = contents.comparison.ours, contents.comparison.blind
    found: dict[str, Markup] = {}
    if len(ours.truth):
        found["histogram"] = charts.histogram(ours)
    if both:
        found["roc"] = charts.roc(ours, blind)
        found["precision"] = charts.precision_recall(ours, blind)
        found["reliability"] = charts.reliability(ours)
    if contents.robustness and contents.robustness.n_real and contents.robustness.n_fake:
        found["robustness"] = charts.robustness(contents.robustness.rows)
    return found


def constants(n_real: int, n_fake: int) -> dict[str, tuple[float, float]]:
    """Returns the metrics of always saying "AI-made", and of always saying "likely real"."""
    fakes = n_fake / (n_real + n_fake) if n_real + n_fake else math.nan
    both = bool(n_real and n_fake)
    return {
        "auc": (0.5, 0.5) if both else (math.nan, math.nan),
        "balanced_accuracy": (0.5, 0.5) if both else (math.nan, math.nan),
        "real_accuracy": (0.0, 1.0) if n_real else (math.nan, math.nan),
        "fake_accuracy": (1.0, 0.0) if n_fake else (math.nan, math.nan),
        "false_alarms": (1.0, 0.0) if n_real else (math.nan, math.nan),
        "unsure": (0.0, 0.0),
        "sure_accuracy": (fakes, 1 - fakes),
        "accuracy": (fakes, 1 - fakes),
    }


# --- How numbers are written --------------------------------------------------------------


NONE = "\N{EN DASH}"


def number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.3f}"


def share(value: float) -> str:
    return NONE if math.isnan(value) else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Returns a difference of shares in percentage points, with its sign."""
    if math.isnan(value):
        return NONE
    written = f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if written.endswith("0.0") and len(written) == 4 else written


def span(found: Estimate, how: str = "share") -> str:
    """Returns the interval without its unit, which stands beside the figure."""
    if not found.is_known:
        return ""
    write = {"share": share, "number": number, "points": points}[how]
    low, high = (write(value).removesuffix(" %") for value in (found.low, found.high))
    return _("{low} to {high}", low=low, high=high)


def _shown(value: object) -> object:
    """Makes every text on the page printable: names come from other people's files."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
