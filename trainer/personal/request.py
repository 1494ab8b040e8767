"""What a retraining is asked for, read from a JSON file. Imports no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.trainer.examples import LABELS

from .budget import Goal

SCHEMA = 1


@dataclass(frozen=True)
class Answer:
    """What the person said of one picture, and where its crop lies."""

    sha256: str
    is_fake: bool
    crop: Path


@dataclass(frozen=True)
class PastVerdict:
    """A check whose picture is judged again, to see what would change."""

    id: int | str
    sha256: str
    crop: Path


@dataclass(frozen=True)
class Request:
    """One retraining."""

    bundle: Path
    prompts: Path
    start: str
    """The prompt that every candidate starts from: the shipped one."""
    current: str
    """The prompt in use, which a candidate has to beat."""
    seed: int
    threads: int
    answers: tuple[Answer, ...]
    """In the order of their sha256, so that the result depends on the set only."""
    judge: tuple[PastVerdict, ...]
    budget: Goal | None
    out: Path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a request. Raises UsageError with what is wrong with it."""
        try:
            raw = json.loads(path.read_bytes())
            if raw["schema"] != SCHEMA:
                raise UsageError(
                    _("{file} is a request of another version of antifake.", file=path)
                )
            return cls(**_fields(raw))
        except OSError as error:
            why = error.strerror or error
            raise UsageError(_("{file} cannot be read: {why}.", file=path, why=why)) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(
                _("{file} is not a request for a training: {why}.", file=path, why=repr(error))
            ) from None


def _fields(raw: dict[str, Any]) -> dict[str, Any]:
    answers = [_answer(one) for one in raw["words"]]
    goal = raw.get("budget")
    return {
        "bundle": Path(raw["bundle"]),
        "prompts": Path(raw["prompts"]),
        "start": str(raw["start"]),
        "current": str(raw["current"]),
        "seed": int(raw["seed"]),
        "threads": max(1, int(raw["threads"])),
        "answers": tuple(sorted(answers, key=lambda one: (one.sha256, one.is_fake))),
        "judge": tuple(
            PastVerdict(one["id"], str(one["sha256"]), Path(one["crop"])) for one in raw["judge"]
        ),
        "budget": Goal(int(goal["one_in"]), float(goal["confidence"])) if goal else None,
        "out": Path(raw["out"]),
    }


def _answer(raw: dict[str, Any]) -> Answer:
    return Answer(str(raw["sha256"]), LABELS[raw["label"]], Path(raw["crop"]))
