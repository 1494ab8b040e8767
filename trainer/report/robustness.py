"""Results on degraded copies of the pictures.

Copies are degraded in memory; their bytes are then judged like any picture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.i18n import _
from antifake.core.pipeline import judge_all
from antifake.trainer.degradations import DEGRADATIONS
from antifake.trainer.evaluate import Judged

from .comparison import Comparison
from .estimates import Estimate, Flags, Ids, Numbers, Statistic, estimates, groups_of
from .measures import Scores, bound, measured
from .unpacking import unpacked

COMPARED = ("auc", "balanced_accuracy", "false_alarms", "fake_accuracy")

Degrade = Callable[[Image.Image], bytes]


@dataclass(frozen=True)
class Degraded:
    """Results of one degradation. The first row, "as they are", has none."""

    name: str
    n: int
    """Pictures that could be judged. Changes compare the same pictures."""
    figures: dict[str, Estimate]
    changes: dict[str, Estimate]
    """Differences from the first row, as shares; empty in that row."""


@dataclass(frozen=True)
class Robustness:
    rows: list[Degraded]
    n_real: int
    n_fake: int
    n_left_out: int
    """Drawn for the sample, but too large or of a format that is not degraded."""


def sample(judged: Sequence[Judged], most: int, seed: int = 0) -> list[int]:
    """Returns indices of at most `most` pictures, half of each class if there are enough.

    Each class is shuffled and sorted by source and generator, and every k-th picture is taken.
    So every source has its share of the sample.
    """
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    for is_fake in (False, True):
        places = [at for at, one in enumerate(judged) if one.is_fake == is_fake]
        shuffled: list[int] = random.permutation(np.array(places, int)).tolist()
        shuffled.sort(key=lambda at: (judged[at].example.source, judged[at].example.family))
        kept = np.linspace(0, len(shuffled) - 1, min(len(shuffled), most // 2)).round()
        chosen += [shuffled[int(at)] for at in kept]
    return sorted(chosen)


@dataclass
class Trial:
    """Degrades pictures of a comparison in every way and judges them again."""

    detector: Detector
    decoder: Decoder
    comparison: Comparison
    degradations: Mapping[str, Degrade]

    def run(self, places: Sequence[int], progress: Callable[[int, int], None]) -> Robustness:
        """Judges len(places) x len(degradations) new files. `progress` counts them."""
        kept: list[int] = []
        scores: list[float] = []
        total = len(places) * len(self.degradations)
        for row in judge_all(self.detector, self.decoder, self._files(places, kept)):
            scores.append(np.nan if row.p_fake is None else row.p_fake)
            progress(len(scores), total)
        table = np.array(scores, float).reshape(len(kept), len(self.degradations))
        return self._robustness(np.array(kept, int), table, len(places))

    def _files(self, places: Sequence[int], kept: list[int]) -> Iterator[bytes]:
        """Yields every degradation of each picture. Appends the picture's index to `kept`."""
        for at in places:
            if image := unpacked(self.comparison.judged[at]):
                kept.append(at)
                for degrade in self.degradations.values():
                    yield _degraded(image, degrade)

    def _robustness(self, kept: Ids, table: Numbers, n_drawn: int) -> Robustness:
        clean = self.comparison.ours.where(kept)
        sources = [self.comparison.judged[at].example.source for at in kept]
        rows = [Degraded(_("as they are"), len(kept), _figures(clean, sources), {})]
        for column, name in enumerate(self.degradations):
            p_fake: Numbers = table[:, column]
            known: Flags = ~np.isnan(p_fake)
            of_known = [source for source, there in zip(sources, known, strict=True) if there]
            then = Scores(clean.truth[known], p_fake[known], clean.bands)
            changes = _changes(clean.where(known), then, of_known)
            rows.append(Degraded(name, int(known.sum()), _figures(then, of_known), changes))
        n_fake = int(clean.truth.sum())
        return Robustness(rows, len(kept) - n_fake, n_fake, n_drawn - len(kept))


def robustness(
    detector: Detector,
    decoder: Decoder,
    comparison: Comparison,
    most: int,
    progress: Callable[[int, int], None],
) -> Robustness:
    """Degrades and judges a sample of at most `most` pictures in every known way."""
    places = sample(comparison.judged, most)
    return Trial(detector, decoder, comparison, DEGRADATIONS).run(places, progress)


def _figures(scores: Scores, sources: Sequence[str]) -> dict[str, Estimate]:
    return measured(scores, groups_of(scores.truth, sources), COMPARED)


def _changes(before: Scores, after: Scores, sources: Sequence[str]) -> dict[str, Estimate]:
    """Returns paired differences. Their intervals are narrower than those of the figures."""
    statistics = {name: _difference(bound(name, after), bound(name, before)) for name in COMPARED}
    return estimates(statistics, before.truth, groups_of(before.truth, sources))


def _difference(after: Statistic, before: Statistic) -> Statistic:
    return lambda weights: after(weights) - before(weights)


def _degraded(image: Image.Image, degrade: Degrade) -> bytes:
    """Returns the degraded file, or b"" where the format cannot hold so large a picture.

    The decoder refuses the latter.
    """
    try:
        return degrade(image)
    except (OSError, ValueError):
        return b""
