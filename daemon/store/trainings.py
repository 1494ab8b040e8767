"""Trainings: each attempt to learn from the user's corrections, and what came of it."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from antifake.core import AntifakeError
from antifake.core.i18n import _

from .database import NotThereError
from .ids import from_ms, to_ms
from .tables import CorrectionRow, TrainingRow, TrainingState, Trigger

Report = dict[str, Any]
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Training:
    """One attempt to learn from the corrections."""

    id: int
    trigger: Trigger
    state: TrainingState
    at: datetime
    ended: datetime | None
    model: str
    """Version of the model, such as `mini@1f3a90c2`."""
    words: str
    """A hash of the corrections and settings that it learned from."""
    reason: str | None
    """What came of it, in a sentence; None until it is over."""
    candidate: str | None
    """The prompt that it made, as the promptbook names it."""
    promoted: bool
    """Whether that prompt was put into use."""
    report: Report | None
    """What the trainer reported. See trainer/personal."""

    @property
    def outcome(self) -> str | None:
        """What the trainer advised: promote, candidate or nothing."""
        found = (self.report or {}).get("outcome")
        return found if isinstance(found, str) else None

    @property
    def chosen(self) -> str | None:
        """The kind of its prompt: bias, calibration or word."""
        found = (self.report or {}).get("chosen")
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Maker:
    """The training that made a prompt."""

    id: int
    at: datetime
    """When it ended, or began if it has not ended."""


class AlreadyTrainingError(AntifakeError):
    """Only one training runs at a time."""

    code = "training_already"


def begin(session: Session, trigger: Trigger, model: str, words: str, now: datetime) -> Training:
    """Adds a training. Raises AlreadyTrainingError."""
    if unfinished(session):
        raise AlreadyTrainingError(_("A training is running already."))
    row = TrainingRow(
        state="running", trigger=trigger, model=model, words=words, at=to_ms(now), promoted=False
    )
    session.add(row)
    session.flush()
    return _training(row)


def get(session: Session, number: int) -> Training:
    """Raises NotThereError."""
    return _training(_row(session, number))


def newest(session: Session, limit: int = 20) -> list[Training]:
    """Returns the last ones, newest first."""
    wanted = select(TrainingRow).order_by(TrainingRow.id.desc()).limit(limit)
    return [_training(row) for row in session.scalars(wanted)]


def last_done(session: Session, model: str) -> Training | None:
    """Returns the last one that came to an end for a model."""
    wanted = select(TrainingRow).where(TrainingRow.state == "done", TrainingRow.model == model)
    row = session.scalars(wanted.order_by(TrainingRow.id.desc()).limit(1)).first()
    return _training(row) if row else None


def makers(session: Session) -> dict[str, Maker]:
    """Returns the last training that made each prompt. Reads no reports, which can be large."""
    columns = TrainingRow.candidate, TrainingRow.id, TrainingRow.ended, TrainingRow.at
    wanted = select(*columns).where(TrainingRow.candidate.is_not(None)).order_by(TrainingRow.id)
    return {
        name: Maker(number, from_ms(at if ended is None else ended))
        for name, number, ended, at in session.execute(wanted)
        if name is not None
    }


def unfinished(session: Session) -> list[Training]:
    wanted = select(TrainingRow).where(TrainingRow.state.in_(("queued", "running")))
    return [_training(row) for row in session.scalars(wanted.order_by(TrainingRow.id))]


def reported(session: Session, number: int, report: Report, candidate: str | None) -> None:
    """Records the report, and the name that the prompt will have, before it is put into use."""
    row = _row(session, number)
    row.report, row.candidate = json.dumps(report), candidate
    session.flush()


def finish(  # noqa: PLR0913 - the whole end of a training in one statement
    session: Session,
    number: int,
    state: TrainingState,
    reason: str,
    now: datetime,
    *,
    promoted: bool = False,
) -> Training:
    row = _row(session, number)
    row.state, row.reason, row.ended, row.promoted = state, reason, to_ms(now), promoted
    session.flush()
    return _training(row)


def drop_candidate(session: Session, number: int) -> None:
    """The prompt was never written."""
    _row(session, number).candidate = None
    session.flush()


def promoted(session: Session, number: int) -> Training:
    """Records that the user has put the prompt of a training into use."""
    row = _row(session, number)
    row.promoted = True
    session.flush()
    return _training(row)


def changed_since(session: Session, moment: datetime | None) -> int:
    """Returns how many pictures were labelled, relabelled or unlabelled since then."""
    wanted = select(func.count(func.distinct(CorrectionRow.sha256)))
    if moment is not None:
        wanted = wanted.where(CorrectionRow.at > to_ms(moment))
    return session.scalar(wanted) or 0


def forget(session: Session, sha256s: Collection[str], checks: Collection[str]) -> None:
    """Removes these pictures and checks from every report."""
    gone = {*sha256s, *checks}
    for row in session.scalars(select(TrainingRow).where(TrainingRow.report.is_not(None))):
        if any(name in (row.report or "") for name in gone):
            row.report = json.dumps(_without(json.loads(row.report or "null"), gone))
    session.flush()


def _without(value: Any, gone: Collection[str]) -> Any:
    """Returns JSON without the members of lists that name one of these."""
    if isinstance(value, dict):
        return {key: _without(one, gone) for key, one in value.items()}
    if not isinstance(value, list):
        return value
    left = [_without(one, gone) for one in value if not _names(one, gone)]
    # A list in a list is a group of pictures that contradict each other, which takes two.
    return [one for one in left if not isinstance(one, list) or len(one) > 1]


def _names(value: Any, gone: Collection[str]) -> bool:
    if isinstance(value, dict):
        return any(isinstance(one, str) and one in gone for one in value.values())
    return isinstance(value, str) and value in gone


def _row(session: Session, number: int) -> TrainingRow:
    row = session.get(TrainingRow, number) if 0 <= number <= _LARGEST else None
    if row is None:
        raise NotThereError(_("There is no training {number}.", number=number))
    return row


def _training(row: TrainingRow) -> Training:
    return Training(
        id=row.id,
        trigger=row.trigger,
        state=row.state,
        at=from_ms(row.at),
        ended=None if row.ended is None else from_ms(row.ended),
        model=row.model,
        words=row.words,
        reason=row.reason,
        candidate=row.candidate,
        promoted=row.promoted,
        report=None if row.report is None else json.loads(row.report),
    )
