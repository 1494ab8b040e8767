"""Tables of our results and of published ones beside each other. Made of files only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from antifake.core.i18n import _, ngettext
from antifake.trainer.report.estimates import Estimate

from .figures import Detector, Mean, SetFigures, SuiteFigures, agreement, figures_of
from .published import Peer, peers
from .results import DELIVERED, OFFICIAL, OURS, Judged

NOTHING = "-"


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


def tables(results: Sequence[Judged], wanted: Wanted) -> list[Table]:
    """Returns the tables of every suite that there are results of."""
    found = figures_of(results)
    by_suite: dict[str, list[SuiteFigures]] = {}
    for one in found:
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
    notes = [*_notes(those, results), *_references(others, sources)]
    return Table(title, header, rows, notes)


def _mean_row(one: SuiteFigures, *, oracle: bool) -> list[str]:
    best, threshold = one.oracle if oracle else (np.nan, np.nan)
    return [
        detector_name(one.detector),
        "",
        _mean(one.real),
        _mean(one.fake),
        interval(one.balanced),
        percent(one.blind),
        *([f"{percent(best)} ({threshold:.3f})"] if oracle else []),
        _mean(one.average),
    ]


def _peer_row(peer: Peer, of: SuiteFigures, sources: Sequence[str], *, oracle: bool) -> list[str]:
    real, fake = peer.of_suite("real"), peer.of_suite("fake")
    balanced = peer.of_suite("balanced")
    shown = [real or NOTHING, fake or NOTHING]
    means = [peer.mean(of.suite, is_fake=kind) for kind in (False, True)]
    for at, mean in enumerate(means):
        if mean:
            whole = of.suite.n_expected(is_fake=bool(at))
            shown[at] = f"{mean[0]:.1f} {_over(mean[1], max(whole, mean[1]))}"
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


def _references(others: Sequence[Peer], sources: Sequence[str]) -> list[str]:
    if not others:
        return []
    return [
        _(
            "Published rows are as printed, without intervals, and were not measured again; their "
            "means over real and AI-made sets are of the cells that were printed."
        ),
        *(f"[{number}] {source}" for number, source in enumerate(sources, 1)),
    ]


def _notes(those: Sequence[SuiteFigures], results: Sequence[Judged]) -> Iterator[str]:
    yield _(
        "In brackets: 95 % intervals. Ours are at the threshold of the prompt. Without pixels: "
        "a classifier that sees the files' headers only; where it does well, the way that files "
        "were stored gives the answer away."
    )
    if (share := max(one.always_fake for one in those)) > 0.5:
        yield _(
            "The paper's average is over sets of one class, most of them AI-made: whoever calls "
            "every picture AI-made gets {share} %. Compare real and balanced accuracy.",
            share=percent(share),
        )
    for one in those:
        name = detector_name(one.detector)
        for left in one.unfinished.values():
            yield _(
                "{detector}: {set} is left out, as {done:,} of {n:,} pictures are judged.",
                detector=name,
                set=left.head.set,
                done=len(left.rows),
                n=left.head.n,
            )
        if failed := sum(each.n_failed for each in one.sets.values()):
            yield ngettext(
                "{detector}: {n:,} picture could not be judged and counts nowhere.",
                "{detector}: {n:,} pictures could not be judged and count nowhere.",
                failed,
                detector=name,
            )
    yield from _missing(those, results)
    yield from _agreements(those, results)


def _missing(those: Sequence[SuiteFigures], results: Sequence[Judged]) -> Iterator[str]:
    """Yields how many pictures of a list were not there, once for each set."""
    name = those[0].suite.name
    heads = {one.head.set: one.head for one in results if one.head.suite == name}
    for head in heads.values():
        if head.n_missing:
            yield ngettext(
                "{set}: {n:,} picture of the list was not there.",
                "{set}: {n:,} pictures of the list were not there.",
                head.n_missing,
                set=head.set,
            )


def _agreements(those: Sequence[SuiteFigures], results: Sequence[Judged]) -> Iterator[str]:
    """Yields on how many pictures the official ranking and ours agree."""
    for one in those:
        theirs = one.detector
        if theirs.protocol != OFFICIAL:
            continue
        ours = Detector(theirs.model, theirs.prompt, theirs.alignment, OURS)
        share = agreement(
            *(
                [
                    judged
                    for judged in results
                    if judged.head.suite == one.suite.name and Detector.of(judged.head) == which
                ]
                for which in (ours, theirs)
            )
        )
        yield _(
            "{detector} gives the same answer as ours to {share} % of the pictures that both have "
            "judged.",
            detector=detector_name(theirs),
            share=interval(share),
        )


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
    return Table(title, [_("Detector"), *names], rows, _references(others, sources))


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


def _mean(found: Mean) -> str:
    if not found.estimate.is_known:
        return NOTHING
    return f"{interval(found.estimate)} {_over(found.n, found.of)}"


def _over(n: int, of: int) -> str:
    return _("({n} of {of} sets)", n=n, of=of)
