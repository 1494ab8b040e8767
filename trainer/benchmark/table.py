"""Tables of our results and of published ones beside each other. Made of files only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from antifake.core.i18n import _

from .cells import (
    NOTHING,
    alignment_name,
    detector_name,
    interval,
    mean_of,
    over,
    percent,
    run_name,
)
from .figures import SetFigures, SuiteFigures
from .notes import notes, references
from .published import Peer, peers
from .results import Judged


@dataclass(frozen=True)
class Table:
    """A table for people."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What a table is to show."""

    peers: bool = False
    """Published rows, too."""
    oracle: bool = False
    """The best threshold, too, chosen on the pictures that it is measured on."""


def tables(
    of_suites: Sequence[SuiteFigures], results: Sequence[Judged], wanted: Wanted
) -> list[Table]:
    """Returns the tables of every suite, whose figures are of these results."""
    by_suite: dict[str, list[SuiteFigures]] = {}
    for one in of_suites:
        by_suite.setdefault(one.suite.name, []).append(one)
    return [table for those in by_suite.values() for table in _of_suite(those, results, wanted)]


def _of_suite(
    those: Sequence[SuiteFigures], results: Sequence[Judged], wanted: Wanted
) -> Iterator[Table]:
    others = peers(those[0].suite) if wanted.peers else []
    yield _means(those, others, results, oracle=wanted.oracle)
    runs: dict[tuple[str, str, str], list[SuiteFigures]] = {}
    for one in those:
        run = one.detector
        runs.setdefault((run.model, run.prompt, run.protocol), []).append(one)
    for beside in runs.values():
        yield _set_by_set(beside)
    if any(one.set for peer in others for one in peer.figures):
        yield _accuracies(those, others)


def _means(
    those: Sequence[SuiteFigures],
    others: Sequence[Peer],
    results: Sequence[Judged],
    *,
    oracle: bool,
) -> Table:
    sources = list(dict.fromkeys(peer.reference for peer in others))
    header = [
        _("Detector"),
        _("Trained on"),
        _("Real, %"),
        _("AI-made, %"),
        _("Balanced, %"),
        _("Without pixels, %"),
        *([_("Best threshold, %")] if oracle else []),
        _("Paper's average, %"),
    ]
    rows = [_mean_row(one, oracle=oracle) for one in those]
    rows += [_peer_row(peer, those[0], sources, oracle=oracle) for peer in others]
    title = _("{suite}: means over sets", suite=those[0].suite.title)
    below = [*notes(those, results), *references(others, sources)]
    return Table(title, header, rows, below)


def _mean_row(one: SuiteFigures, *, oracle: bool) -> list[str]:
    best, threshold = one.oracle if oracle else (np.nan, np.nan)
    return [
        detector_name(one.detector),
        "",
        mean_of(one.real),
        mean_of(one.fake),
        interval(one.balanced),
        percent(one.blind),
        *([f"{percent(best)} ({threshold:.3f})"] if oracle else []),
        mean_of(one.average),
    ]


def _peer_row(peer: Peer, of: SuiteFigures, sources: Sequence[str], *, oracle: bool) -> list[str]:
    real, fake = peer.of_suite("real"), peer.of_suite("fake")
    balanced = peer.of_suite("balanced")
    shown = [real or NOTHING, fake or NOTHING]
    means = [peer.mean(of.suite, is_fake=kind) for kind in (False, True)]
    for at, mean in enumerate(means):
        if mean:
            whole = of.suite.n_expected(is_fake=bool(at))
            shown[at] = f"{mean[0]:.1f} {over(mean[1], max(whole, mean[1]))}"
    if means[0] and means[1]:
        balanced = f"{(means[0][0] + means[1][0]) / 2:.1f}"
    elif real and fake:
        balanced = f"{(float(real) + float(fake)) / 2:.1f}"
    return [
        _peer_name(peer, sources),
        peer.trained_on,
        *shown,
        balanced or NOTHING,
        NOTHING,
        *([NOTHING] if oracle else []),
        peer.of_suite("average") or NOTHING,
    ]


def _peer_name(peer: Peer, sources: Sequence[str]) -> str:
    number = sources.index(peer.reference) + 1
    if peer.is_second_hand:
        return _("{name} [{number}, second-hand]", name=peer.method, number=number)
    return f"{peer.method} [{number}]"


def _set_by_set(beside: Sequence[SuiteFigures]) -> Table:
    """Returns the sets of one detector, every alignment beside the others."""
    titles = (_("Real"), _("AI-made"), _("Balanced"), _("AUC"), _("Without pixels"))
    alignments = [alignment_name(one.detector.alignment) for one in beside]
    header = [_("Set"), _("Real pictures"), _("AI-made pictures")]
    header += [f"{title}, {alignment}" for title in titles for alignment in alignments]
    names = dict.fromkeys(beside[0].suite.sets)
    names |= dict.fromkeys(name for one in beside for name in one.sets)
    rows = []
    for name in names:
        there = [one.sets.get(name) for one in beside]
        known = next((one for one in there if one), None)
        counts = [f"{known.n_real:,}", f"{known.n_fake:,}"] if known else [NOTHING, NOTHING]
        cells = [cell for each in zip(*map(_set_cells, there), strict=True) for cell in each]
        rows.append([name, *counts, *cells])
    of = beside[0]
    title = _(
        "{suite}: set by set, {detector}",
        suite=of.suite.title,
        detector=run_name(of.detector),
    )
    return Table(title, header, rows)


def _set_cells(one: SetFigures | None) -> list[str]:
    if one is None:
        return [NOTHING] * 5
    estimates = [interval(each) for each in (one.real, one.fake, one.balanced, one.auc)]
    return [*estimates, percent(one.blind)]


def _accuracies(those: Sequence[SuiteFigures], others: Sequence[Peer]) -> Table:
    """Returns the accuracy of every set by every detector, as the papers print it."""
    suite = those[0].suite
    names = list(dict.fromkeys([*suite.sets, *(name for one in those for name in one.sets)]))
    sources = list(dict.fromkeys(peer.reference for peer in others))
    rows = [
        [
            detector_name(one.detector),
            *(interval(one.sets[name].accuracy) if name in one.sets else NOTHING for name in names),
        ]
        for one in those
    ]
    rows += [
        [_peer_name(peer, sources), *(peer.of_set(name) or NOTHING for name in names)]
        for peer in others
        if any(one.set for one in peer.figures)
    ]
    title = _("{suite}: accuracy, beside published ones", suite=suite.title)
    return Table(title, [_("Detector"), *names], rows, references(others, sources))
