"""Compares what a daemon has acknowledged under load with its history. Reads it without it."""

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from kit.acknowledged import Acknowledged, Sent, picture_of

from antifake.core.batching import judge_pictures
from antifake.core.catalog import Home
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, load_detector
from antifake.core.verdict import Verdict
from antifake.daemon.store.ids import to_number

_BATCH = 32
_SAME = 1e-4
"""Bound of the difference to a score that was computed in the same way."""


class Row(NamedTuple):
    """A check of the history."""

    id: int
    sha256: str
    label: str | None
    p_fake: float | None
    error: str | None


def is_settled(database: Path, done: Acknowledged) -> bool:
    """Returns whether nothing waits any more, and every file of the watched folder is known."""
    with closing(_open(database)) as connection:
        [[waiting]] = connection.execute(
            "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
        )
        known = {
            path for (path,) in connection.execute("SELECT path FROM files WHERE sha256 NOT NULL")
        }
    files = {path for sent in list(done.pictures.values()) for path in sent.paths}
    return waiting == 0 and files <= known


def audit(home: Home, database: Path, done: Acknowledged) -> list[str]:
    """Returns what is lost, doubled or wrong, a line each; nothing if all is as acknowledged."""
    with closing(_open(database)) as connection:
        rows = [
            Row(*row)
            for row in connection.execute(
                "SELECT id, hex(sha256), label, p_fake, error FROM checks"
            )
        ]
        ends = dict(connection.execute("SELECT id, check_id FROM jobs"))
        labels = dict(connection.execute("SELECT hex(sha256), label FROM corrections ORDER BY seq"))
        [[integrity]] = connection.execute("PRAGMA integrity_check")
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row.sha256.lower()].append(row)
    labels = {sha256.lower(): label for sha256, label in labels.items()}
    wrong = [] if integrity == "ok" else [f"the database is damaged: {integrity}"]
    for sha256, sent in done.pictures.items():
        wrong += _wrong_of_picture(sent, of[sha256], ends)
        if sent.label is not None and labels.get(sha256) != sent.label:
            wrong.append(f"picture {sent.number}: the correction {sent.label} is lost")
    for sha256, sent in done.broken.items():
        found = of[sha256]
        if not 1 <= len(found) <= sent.attempts or any(row.label for row in found):
            wrong.append(f"broken picture {sent.number}: {found}")
    wrong += [f"a private picture is in the history: {of[one]}" for one in done.private if of[one]]
    wrong += [f"twice: {of[one]}" for one in done.left if len(of[one]) > 1]
    known = done.pictures.keys() | done.broken.keys() | done.left
    wrong += [
        f"nobody sent {sha256}" for sha256, found in of.items() if found and sha256 not in known
    ]
    return wrong + _wrong_verdicts(home, done, of)


def _wrong_of_picture(sent: Sent, found: list[Row], ends: dict[int, int | None]) -> list[str]:
    if len(found) != 1:
        return [f"picture {sent.number}: {len(found)} checks, {sent}"]
    [row] = found
    if row.label is None:
        return [f"picture {sent.number}: no verdict, {row.error}"]
    others = {one for one in map(to_number, sent.ids) if one != row.id}
    if any(ends.get(one) != row.id for one in others):
        return [f"picture {sent.number}: acknowledged as {sent.ids}, and found as {row.id}"]
    return []


def _wrong_verdicts(home: Home, done: Acknowledged, of: dict[str, list[Row]]) -> list[str]:
    """Judges every picture again, in this process, among others and by itself.

    In bfloat16 both ways differ for one picture in some thousands, by up to 0.006, as products of
    one row are summed up in another order. The true score lies between them.
    """
    detector, _ = load_detector(home)
    wrong: list[str] = []
    sent = [(sha256, one) for sha256, one in done.pictures.items() if of[sha256]]
    with Decoder(2, detector.model.image_size, view="whole") as decoder:
        for at in range(0, len(sent), _BATCH):
            batch = sent[at : at + _BATCH]
            for (sha256, one), p_fake in zip(
                batch, _scores(detector, decoder, [one.number for _, one in batch]), strict=True
            ):
                told = of[sha256][0].p_fake
                scores = [told] if one.p_fake is None else [told, one.p_fake]
                if all(_is_one_of(score, [p_fake]) for score in scores):
                    continue
                right = [p_fake, *_scores(detector, decoder, [one.number])]
                if not all(_is_one_of(score, right) for score in scores):
                    wrong.append(f"picture {one.number}: {scores} instead of {right}")
    return wrong


def _is_one_of(score: float | None, right: list[float]) -> bool:
    return score is not None and any(abs(score - one) <= _SAME for one in right)


def _scores(detector: Detector, decoder: Decoder, numbers: list[int]) -> list[float]:
    decoded = [found for _, found in decoder.decode_many([picture_of(one) for one in numbers])]
    crops = [found.picture.crops for found in decoded if found.picture is not None]
    verdicts = judge_pictures(detector.judge, detector.bands, crops)
    return [one.p_fake for one in verdicts if isinstance(one, Verdict)]


def summary(done: Acknowledged, faults: Counter[str]) -> str:
    """Returns the figures of a run for people."""
    lines = [f"{sum(done.answered.values()):,} requests answered"]
    lines += [f"  {n:>7,} {what}" for what, n in done.answered.most_common()]
    lines += [f"{sum(done.again.values()):,} attempts were repeated: {dict(done.again)}"]
    lines += [f"{sum(faults.values())} faults: {dict(faults)}"]
    return "\n".join(lines)


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
