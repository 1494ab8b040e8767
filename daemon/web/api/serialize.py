"""Converts answers to JSON. Times are ISO 8601 in UTC."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from antifake.core.evidence.serialize import to_dict as evidence_of
from antifake.daemon.config import Config, Folder, names
from antifake.daemon.learning import Flip, LearningState, Version
from antifake.daemon.redaction import without_password
from antifake.daemon.service import Answer, Progress, State, Ticket, WatchedFolder
from antifake.daemon.service.access import Pairing
from antifake.daemon.service.evidence_backfill import BackfillState
from antifake.daemon.store.corrections import Correction
from antifake.daemon.store.crops import Crop
from antifake.daemon.store.importing import Imported
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.store.tokens import Token
from antifake.daemon.store.trainings import Training
from antifake.daemon.worker.model_process import ModelState

Json = dict[str, Any]

_OF_CHECK = (
    "p_fake",
    "error",
    "code",
    "note",
    "model",
    "prompt",
    "sha256",
    "width",
    "height",
    "format",
    "source",
    "ms",
)
"""Fields that are answered as they are stored."""


class Reader(Protocol):
    """The caller who gets the answer. Its scopes decide what it may see."""

    @property
    def scopes(self) -> frozenset[str]: ...


def check(answer: Answer, reader: Reader) -> Json:
    """Returns a check. Only callers who may read the history get paths, names, addresses, notes."""
    found = answer.entry.check
    may_read = bool({"read", "admin"} & reader.scopes)
    return {
        "id": answer.id,
        "at": moment(found.at),
        "state": "done",
        "label": answer.label,
        "word": answer.word,
        "headline": answer.headline,
        "basis": answer.basis,
        "summary": answer.summary,
        "is_sure": answer.is_sure,
        "percent": answer.percent,
        "said": said(answer.correction, with_note=may_read),
        "alike": answer.entry.near_copy_correction is not None,
        "explanation": answer.explanation,
        "path": found.path if may_read else None,
        "page": found.page if may_read else None,
        "name": found.shown_name if may_read else None,
        "seen": answer.entry.times_seen if may_read else None,
        "occurrences": [occurrence(one) for one in answer.entry.occurrences] if may_read else [],
        "has_thumbnail": answer.entry.has_thumbnail,
        "is_stored": answer.is_stored,
        "parts": [part.to_dict() for part in found.parts or ()],
        **{name: getattr(found, name) for name in _OF_CHECK},
        "evidence": evidence_of(answer.card),
    }


def occurrence(seen: Occurrence) -> Json:
    return {
        "at": moment(seen.at),
        "source": seen.source,
        "path": seen.path,
        "page": seen.page,
        "name": seen.shown_name,
        "times": seen.times,
    }


def ticket(waiting: Ticket, ahead: int | None, model: ModelState) -> Json:
    """Returns a check that is not done. `ahead`: how many pictures are judged before it."""
    return {
        "id": waiting.id,
        "state": "queued" if ahead else waiting.state,
        "is_stored": waiting.is_stored,
        "ahead": ahead,
        "model": {"phase": model.phase, "why": model.why, "ready_in_s": model.ready_in_s},
    }


def said(correction: Correction | None, *, with_note: bool) -> Json | None:
    if correction is None:
        return None
    note = correction.note if with_note else ""
    return {"label": correction.label, "at": moment(correction.at), "note": note}


def state(now: State, reader: Reader, version: str, last_event: int) -> Json:
    """Returns the state. Only callers who may read the history get the notices."""
    model = now.model
    may_read = bool({"read", "admin"} & reader.scopes)
    return {
        "mode": now.mode,
        "model": {
            "phase": model.phase,
            "model": model.model,
            "prompt": model.prompt,
            "why": model.why,
            "ready_in_s": model.ready_in_s,
        },
        "waiting": now.waiting,
        "left_s": now.left_s,
        "paused_until": moment(now.paused_until),
        "notices": now.notices if may_read else [],
        "version": version,
        "last_event": last_event,
    }


def folder(watched: WatchedFolder) -> Json:
    return _folder(watched.folder) | {
        "polling": watched.polling,
        "problem": watched.problem,
        "pending": watched.pending,
        "existing": _existing(watched.existing) if watched.existing else None,
    }


def _existing(found: Progress) -> Json:
    return asdict(found) | {"summary": found.summary, "passed_over": found.passed_over}


def _folder(one: Folder) -> Json:
    return {
        "path": str(one.path),
        "include": list(one.include),
        "exclude": list(one.exclude),
        "recursive": one.recursive,
        "polling": one.polling,
    }


def settings(config: Config, reader: Reader) -> Json:
    """Returns the settings by dotted name. Only callers who may change them get passwords."""
    found = {name: _plain(config.get(name)) for name in names()}
    if "admin" not in reader.scopes:
        found["history.database"] = without_password(found["history.database"])
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Folder):
        return _folder(value)
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, Path) else value


def pairing(one: Pairing) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "origin": one.origin,
        "scopes": sorted(one.scopes),
        "code": one.code,
        "expires": moment(one.expires),
    }


def token(one: Token) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": sorted(one.scopes),
        "origin": one.origin,
        "created": moment(one.created),
        "last_used": moment(one.last_used),
        "expires": moment(one.expires),
        "revoked": moment(one.revoked),
    }


def backfill(state: BackfillState) -> Json:
    return {name: getattr(state, name) for name in _OF_BACKFILL}


_OF_BACKFILL = ("is_running", "left", "total", "read", "missing", "summary")


def imported(done: Imported) -> Json:
    return asdict(done)


def learning(now: LearningState) -> Json:
    return asdict(now) | {
        "running": asdict(now.running) | {"at": moment(now.running.at)} if now.running else None,
        "last": training(now.last) if now.last else None,
        "next_run": moment(now.next_run),
        "version": version(now.version) if now.version else None,
    }


def training(one: Training) -> Json:
    found = asdict(one) | {
        "at": moment(one.at),
        "ended": moment(one.ended),
        "outcome": one.outcome,
        "chosen": one.chosen,
    }
    del found["words"]
    return found


def version(one: Version) -> Json:
    return asdict(one) | {"at": moment(one.at)}


def flip(one: Flip, reader: Reader) -> Json:
    return {
        "check": check(Answer(one.entry), reader),
        "kind": one.kind,
        "before": one.before,
        "after": one.after,
        "p_before": one.p_before,
        "p_after": one.p_after,
    }


def crop(one: Crop) -> Json:
    return asdict(one) | {"at": moment(one.at)}


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds")
