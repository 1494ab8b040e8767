"""What a training shows: pictures that its prompt judges otherwise, and those that it left out."""

from typing import Any, cast, get_args

from sqlalchemy.orm import Session

from antifake.core import Label
from antifake.daemon.store import NotThereError, checks, history
from antifake.daemon.store.trainings import Training

from .results import Flip

MOST = 1_000


def of(session: Session, training: Training) -> list[Flip]:
    """Returns mended ones, then broken ones, then changed verdicts on other pictures."""
    found = (training.report or {}).get("flips")
    if not isinstance(found, dict):
        return []
    said = {kind: _texts(found.get(kind)) for kind in ("mended", "broken")}
    judged = _by_picture(session, found.get("verdicts"))
    flips = [
        _flip(session, kind, check, judged.get(check.sha256 or ""))
        for kind, sha256s in said.items()
        for check in checks.last_of(session, sha256s)
    ]
    words = {sha256 for sha256s in said.values() for sha256 in sha256s}
    for sha256, one in judged.items():
        if sha256 not in words:
            flips.append(_flip(session, "changed", one[0], one))
    return flips


def contradictions(session: Session, training: Training) -> list[list[history.Entry]]:
    """Returns groups of near-copies that a training left out: the user said different things.

    Leaves out groups that the user has decided since, and pictures without a word.
    """
    found = (training.report or {}).get("words")
    groups = found.get("contradictions") if isinstance(found, dict) else None
    entries = []
    for group in groups if isinstance(groups, list) else []:
        every = history.entries(session, checks.last_of(session, _texts(group)))
        said = [one for one in every if one.correction and one.correction.label != "unsure"]
        if len({one.correction.label for one in said if one.correction}) > 1:
            entries.append(said)
    return entries


_Judged = tuple[checks.Check, dict[str, Any], dict[str, Any]]


def _by_picture(session: Session, verdicts: Any) -> dict[str, _Judged]:
    found = {}
    for one in (verdicts if isinstance(verdicts, list) else [])[:MOST]:
        if not isinstance(one, dict):
            continue
        before, after = one.get("before"), one.get("after")
        try:
            check = checks.get(session, str(one.get("id")))
        except NotThereError:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and check.sha256:
            found[check.sha256] = check, before, after
    return found


def _flip(session: Session, kind: str, check: checks.Check, judged: _Judged | None) -> Flip:
    before, after = judged[1:] if judged else ({}, {})
    return Flip(
        history.entry(session, check),
        kind,
        _label(before.get("label")),
        _label(after.get("label")),
        _number(before.get("p_fake")),
        _number(after.get("p_fake")),
    )


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _label(value: Any) -> Label | None:
    return cast(Label, value) if value in get_args(Label) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
