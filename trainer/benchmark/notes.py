"""The notes below a table: what its columns mean, what is missing, where figures are from."""

from collections.abc import Iterator, Sequence

from antifake.core.i18n import _, ngettext

from .cells import detector_name, interval, percent
from .figures import Detector, SuiteFigures, agreement
from .published import Peer
from .results import OFFICIAL, OURS, Judged


def references(others: Sequence[Peer], sources: Sequence[str]) -> list[str]:
    if not others:
        return []
    return [
        _(
            "Published rows are as printed, without intervals, and were not measured again; their "
            "means over real and AI-made sets are of the cells that were printed."
        ),
        *(f"[{number}] {source}" for number, source in enumerate(sources, 1)),
    ]


def notes(those: Sequence[SuiteFigures], results: Sequence[Judged]) -> Iterator[str]:
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
