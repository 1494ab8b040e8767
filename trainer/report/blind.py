"""A baseline that sees no pixels: a random forest on the files' headers.

Where it does well, the way that files were stored gives their label away, and no detector's
figures on them mean much. Every picture is judged by a forest that was not fitted to it, nor to
any other picture of its source where sources are known.

Shapes: n pictures, F = 10 features.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from .estimates import Flags, Groups, Ids, Numbers
from .headers import FORMATS, Header

FOLDS = 5
TREES = 100
MOST_PER_TREE = 5000
"""Pictures per tree. More would only take longer."""


def blind_p_fake(headers: Sequence[Header], truth: Flags, groups: Groups) -> Numbers | None:
    """Returns the baseline's p_fake [n] of headers [n], or None if there are too few to fit it."""
    if min(truth.sum(), (~truth).sum()) < 2:
        return None
    features = np.array([_features(header) for header in headers], float)  # [n, F]
    found = np.full(len(truth), 0.5)
    for learned, judged in _folds(truth, groups):
        if len(set(truth[learned].tolist())) == 2:
            forest = _forest(len(learned)).fit(features[learned], truth[learned])
            found[judged] = forest.predict_proba(features[judged])[:, 1]
    return found


def _folds(truth: Flags, groups: Groups) -> Iterator[tuple[Ids, Ids]]:
    """Yields indices to fit to and indices to judge."""
    places = np.zeros((len(truth), 1))
    if groups.are_sources:
        grouped = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        yield from grouped.split(places, truth, groups.ids)
    else:
        folds = int(min(FOLDS, truth.sum(), (~truth).sum()))
        yield from StratifiedKFold(folds, shuffle=True, random_state=0).split(places, truth)


def _forest(n: int) -> RandomForestClassifier:
    return RandomForestClassifier(
        TREES,
        min_samples_leaf=2,
        class_weight="balanced",  # otherwise it would predict the larger class only
        max_samples=min(n, MOST_PER_TREE),
        random_state=0,
        n_jobs=1,
    )


def _features(header: Header) -> list[float]:
    """Returns features [F]. Missing ones are NaN, which the trees can handle."""
    pixels = header.width * header.height
    return [
        FORMATS.index(header.format),
        header.width,
        header.height,
        header.width / header.height if header.height else math.nan,
        pixels,
        header.n_bytes,
        8 * header.n_bytes / pixels if pixels else math.nan,
        header.has_exif,
        header.has_icc,
        header.quantisation,
    ]
