"""The daemon's verbs on the log while no daemon runs. Judges nothing and watches nothing."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast, get_args

from antifake.core import Label
from antifake.core.errors import UsageError
from antifake.daemon.config import load
from antifake.daemon.places import Places
from antifake.daemon.service import Answer, Dependencies, Events, Service, Settings
from antifake.daemon.store import Store, open_store
from antifake.daemon.store.exchange import Form
from antifake.daemon.store.history import Filter
from antifake.daemon.store.tables import Source
from antifake.daemon.web.api import serialize
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.model_process import ModelProcess

from .book import Check, Query


@contextmanager
def open_log(where: Places) -> Iterator[Store]:
    """The log that the settings name."""
    config = load(where.config)
    place = config.history.database or where.database
    with open_store(place, _now(), keep_backups=config.history.backups) as store:
        yield store


@contextmanager
def at_rest(where: Places) -> Iterator[tuple["AtRest", tuple[str, ...]]]:
    """The verbs, and what was done to put the log right."""
    with open_log(where) as store:
        settings = Settings(where.config, load(where.config))
        # Nobody starts this one: it is there because the verbs are made with one.
        model, active_model = ModelProcess(where.home), ActiveModel(where.home)
        parts = Dependencies(store, settings, active_model, model, Events(), _now)
        yield AtRest(Service(parts)), store.notices


@dataclass(frozen=True)
class _Owner:
    """Whose computer this is may see everything."""

    scopes: frozenset[str] = frozenset(["admin"])


@dataclass(frozen=True)
class AtRest:
    """A Book."""

    service: Service

    def page(self, query: Query, limit: int) -> tuple[list[Check], str | None]:
        found, after = self.service.page(filter_of(query), query.get("cursor"), limit)
        return [_check(answer) for answer in found], after

    def show(self, name: str) -> Check:
        return _check(self.service.get(name))

    def forget(self, names: Sequence[str]) -> int:
        return self.service.forget(names)

    def correct(self, names: Sequence[str], label: Label, note: str) -> list[Check]:
        return [_check(answer) for answer in self.service.correct(names, label, "cli", note)]

    def undo(self, names: Sequence[str]) -> list[Check]:
        return [_check(answer) for answer in self.service.undo(names, "cli")]

    def export(self, out: IO[bytes], form: str, query: Query) -> None:
        text = io.TextIOWrapper(out, "utf-8", newline="")
        self.service.export(text, cast(Form, form), filter_of(query))
        text.detach()  # flushes, and leaves `out` to its owner

    def take_in(self, file: Path, form: str) -> dict[str, Any]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            try:
                done = self.service.import_rows(lines, cast(Form, form))
            except UnicodeDecodeError as error:
                raise UsageError(f"{file} is not UTF-8.") from error
        return serialize.imported(done)


def _check(answer: Answer) -> Check:
    return serialize.check(answer, _Owner())


def filter_of(query: Query) -> Filter:
    """Raises UsageError."""
    corrected = query.get("corrected")
    return Filter(
        label=cast(Any, query.get("label")),
        source=_source(query.get("source")),
        since=_time(query.get("since")),
        until=_time(query.get("until")),
        corrected=None if corrected is None else corrected == "true",
        text=query.get("q", ""),
        folder=query.get("folder", ""),
        model=query.get("model", ""),
    )


def _source(name: str | None) -> Source | None:
    if name is not None and name not in (known := get_args(Source)):
        raise UsageError(f"{name} is not a source; there are: {', '.join(known)}.")
    return cast(Source | None, name)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _now() -> datetime:
    return datetime.now(UTC)
