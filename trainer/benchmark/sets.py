"""Labelled pictures of a suite, in sets; and what a table says of a picture."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.trainer.examples import Example

from .suites import Columns, Suite

LABELS = {
    **dict.fromkeys(("real", "0", "0.0", "false", "nature"), False),
    **dict.fromkeys(("fake", "1", "1.0", "true", "ai", "generated", "synthetic"), True),
}
"""What tables say of a picture, in lower case: whether it is AI-made."""


@dataclass(frozen=True)
class Picture:
    """One labelled picture of a set."""

    name: str
    """Where it lies below the suite's folder, with slashes: the same on every machine."""
    example: Example
    read: Callable[[], Path | bytes]
    """Returns its file, or the bytes of one that is inside another file. Raises OSError."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures that are judged and kept together."""

    suite: Suite
    name: str
    pictures: Sequence[Picture]
    n_missing: int = 0
    """Named in a table, but not there."""

    def sampled(self, limit: int | None, seed: int) -> "PictureSet":
        """Returns at most `limit` pictures of each class and generator, in their order."""
        if limit is None:
            return self
        kinds: dict[tuple[bool, str], list[int]] = defaultdict(list)
        for at, one in enumerate(self.pictures):
            kinds[one.example.is_fake, one.example.family].append(at)
        # A draw for each kind, so that a generator more changes nothing of the others.
        kept = [
            at
            for (is_fake, family), places in kinds.items()
            for at in random.Random(f"{seed} {is_fake} {family}").sample(  # noqa: S311
                places, min(limit, len(places))
            )
        ]
        chosen = [self.pictures[at] for at in sorted(kept)]
        return PictureSet(self.suite, self.name, chosen, self.n_missing)


def label_of(raw: object, file: Path, line: int) -> bool:
    """Returns whether a table calls a picture AI-made. Raises UsageError."""
    try:
        return LABELS[str(raw).strip().casefold()]
    except KeyError:
        raise UsageError(
            _(
                "{file}, line {line}: the label is {label!r}, not real or fake.",
                file=file,
                line=line,
                label=raw,
            )
        ) from None


def tables(columns: Columns, folder: Path) -> list[Path]:
    """Returns the files of tables in a suite's folder, sorted."""
    return sorted({path for glob in columns.files for path in folder.glob(glob)})
