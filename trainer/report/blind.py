"""A classifier that sees no pixels: only what a file says of itself.

Where it does well, the files give their label away by how they were stored, and
no detector's figures on them mean much. Every picture is judged by a forest
that did not see it, nor any other of its source where sources are known.

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
"""Pictures that one tree learns from; more would only take longer."""


def blind_p_fake(headers: Sequence[Header], truth: Flags, groups: Groups) -> Numbers | None:
    """[n] in [0, 1]: how AI-made each file looks from outside; None: too few to learn from."""
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
    """Indices to learn from and to judge."""
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
        class_weight="balanced",  # else it would call everything by the larger class
        max_samples=min(n, MOST_PER_TREE),
        random_state=0,
        n_jobs=1,
    )


def _features(header: Header) -> list[float]:
    """[F]; what is missing stays NaN, which trees can use as it is."""
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
