"""Clusters of a picture's patches. Needed only where a base set is built: importing scikit-learn
takes seconds, which a retraining would wait for."""

import numpy as np
from sklearn.cluster import KMeans

from .compact import Rows

CLUSTERS = 5


def clustered(tokens: np.ndarray, clusters: int = CLUSTERS) -> Rows:
    """Returns the rows that stand for the tokens [N, Hv] of a picture."""
    patches = tokens[1:].astype(np.float64)
    k = min(clusters, len(patches))
    found = KMeans(k, n_init=1, random_state=0).fit(patches)
    return Rows(
        np.concatenate([tokens[:1], found.cluster_centers_]).astype(np.float32),
        np.concatenate([[1], np.bincount(found.labels_, minlength=k)]),
    )
