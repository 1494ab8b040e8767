"""An estimate for pictures of sources never seen, and how far it may be off.

Whole owners of sources are left out, with every owner whose pictures resemble theirs and every
generator family that is at home with them. Sources count alike, however many pictures they have,
real and AI-made ones apart; the interval comes from drawing sources again, not pictures.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.examples import Example

from .sampling import at_most

ALIKE = (0.80, 0.85, 0.90, 0.95, 0.98, 1.1)
"""Cosines from which the mean pictures of two owners make them relatives: the first of these
that leaves no clan of relatives larger than LARGEST."""
LARGEST = 0.35
"""Share of the real or of the AI-made pictures."""
NEAR_COPY = (0.90, 0.93, 0.96, 1.1)
"""Cosines from which a training picture is too near to one that is judged: the first of these
that costs at most LARGEST of the training pictures."""
FEW = 8
"""A source with fewer pictures is judged together with its owner's others, or all such."""
MOST = 100
"""At most so many pictures of a group are judged."""
FALSE_ALARMS = 0.10

Node = tuple[bool, str]
"""(is AI-made, owner)"""


def family(example: Example) -> str:
    """Returns the family; one without a name is the owner's own. "" for a real picture."""
    if not example.is_fake:
        return ""
    return example.family if example.family not in ("", "-", "other") else f"of {example.owner}"


def _group(example: Example) -> tuple[bool, str, str]:
    return example.is_fake, example.owner, family(example)


@dataclass(frozen=True)
class Split:
    """Indices of the pictures to learn from and to judge, [n] and [m]."""

    name: str
    train: np.ndarray
    held: np.ndarray
    sources: tuple[str, ...]
    """The source that each of `held` counts for."""


def splits(examples: Sequence[Example], looks: np.ndarray, count: int) -> list[Split]:
    """Returns `count` splits. `looks` [n, D] tell which pictures resemble each other."""
    looks = _directions(looks - looks.mean(0))
    homes = _homes(examples, looks, count)
    where = np.array([homes[example.is_fake, example.owner] for example in examples])
    family_at = _family_homes(examples, where)
    found = []
    for fold in range(count):
        mine = [family_at.get(family(example), fold) == fold for example in examples]
        every = np.flatnonzero((where == fold) & mine).tolist()
        held = at_most(MOST, every, [_group(examples[i]) for i in every])
        known = [example.is_fake and family_at[family(example)] == fold for example in examples]
        train = np.flatnonzero((where != fold) & ~np.array(known))
        train = train[_is_far(looks, train, held)]
        names = tuple(_source_names([examples[i] for i in held]))
        found.append(Split(f"split {fold + 1}", train, held, names))
    return found


def _directions(values: np.ndarray) -> np.ndarray:
    """values [n, D] -> the same, of length 1."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: np.ndarray = values / np.maximum(lengths, 1e-9)
    return unit


def _homes(examples: Sequence[Example], looks: np.ndarray, count: int) -> dict[Node, int]:
    """Returns the split of each owner: relatives stay together, splits are of like size."""
    rows = defaultdict(list)
    for i, example in enumerate(examples):
        rows[example.is_fake, example.owner].append(i)
    nodes = sorted(rows)
    means = _directions(np.stack([looks[rows[node]].mean(0) for node in nodes]))
    sizes = {node: len(rows[node]) for node in nodes}
    for limit in ALIKE:
        clans = _clans(nodes, means @ means.T > limit)
        if max(share.max() for share in _shares(clans, sizes).values()) <= LARGEST:
            break
    return _spread(_shares(clans, sizes), clans, count)


def _clans(nodes: Sequence[Node], alike: np.ndarray) -> dict[Node, int]:
    """Joins owners of both labels, and those of one label that are alike, bool [n, n]."""
    clans = {node: number for number, node in enumerate(nodes)}
    for i, one in enumerate(nodes):
        for j, other in enumerate(nodes[:i]):
            if one[1] == other[1] or (one[0] == other[0] and alike[i, j]):
                old, new = clans[one], clans[other]
                clans = {node: new if clan == old else clan for node, clan in clans.items()}
    return clans


def _shares(clans: dict[Node, int], sizes: dict[Node, int]) -> dict[int, np.ndarray]:
    """Returns each clan's share of the real and of the AI-made pictures, [2]."""
    totals = [sum(n for node, n in sizes.items() if node[0] == label) for label in (False, True)]
    shares: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for node, clan in clans.items():
        shares[clan][int(node[0])] += sizes[node] / max(1, totals[int(node[0])])
    return shares


def _spread(shares: dict[int, np.ndarray], clans: dict[Node, int], count: int) -> dict[Node, int]:
    """Deals clans out to splits, the largest first, each to where it is needed most."""
    loads = np.zeros((count, 2))
    home = {}
    for clan in sorted(shares, key=lambda one: (-shares[one].max(), one)):
        best = int(np.argmin(((loads + shares[clan]) ** 2 - loads**2).sum(1)))
        loads[best] += shares[clan]
        home[clan] = best
    return {node: home[clan] for node, clan in clans.items()}


def _family_homes(examples: Sequence[Example], where: np.ndarray) -> dict[str, int]:
    """Returns the split that has most pictures of each family."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for example, fold in zip(examples, where, strict=True):
        if example.is_fake:
            counts[family(example)][int(fold)] += 1
    return {name: count.most_common(1)[0][0] for name, count in counts.items()}


def _is_far(looks: np.ndarray, train: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Returns which of `train` [n] resemble none of `held` [m], bool [n]."""
    if not len(held):
        return np.ones(len(train), bool)
    blocks = [train[at : at + 512] for at in range(0, len(train), 512)]
    nearest = np.concatenate([(looks[block] @ looks[held].T).max(1) for block in blocks])
    limit = next(one for one in NEAR_COPY if (nearest >= one).mean() <= LARGEST)
    far: np.ndarray = nearest < limit
    return far


def _source_names(held: Sequence[Example]) -> list[str]:
    """Returns what each picture counts for: owner and family, or fewer words where few are so."""
    full = [f"{one.owner} {family(one)}".strip() for one in held]
    by_full = Counter(full)
    names = [
        name if by_full[name] >= FEW else f"{one.owner} (rest)"
        for name, one in zip(full, held, strict=True)
    ]
    by_owner = Counter(zip([one.is_fake for one in held], names, strict=True))
    return [
        name if by_owner[one.is_fake, name] >= FEW else "(few)"
        for name, one in zip(names, held, strict=True)
    ]


@dataclass(frozen=True)
class Judged:
    """What a model said of the pictures that a split held out."""

    truth: Truth
    """bool [m]"""
    margins: Numbers
    """[m], above 0 for AI-made"""
    sources: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    """What each picture is, as the index has it: photo, art, ...; () if that is not needed"""

    def by_source(self, is_fake: bool) -> dict[str, Numbers]:
        """Returns the margins of each source."""
        found: dict[str, list[float]] = defaultdict(list)
        for truth, margin, source in zip(self.truth, self.margins, self.sources, strict=True):
            if truth == is_fake:
                found[source].append(float(margin))
        return {name: np.array(values) for name, values in sorted(found.items())}

    def table(self) -> np.ndarray:
        """Returns how often a picture of source f is above one of source r, [F, R]."""
        fakes, reals = self.by_source(True), self.by_source(False)
        return np.array(
            [[_above(fake, real) for real in reals.values()] for fake in fakes.values()]
        )

    def found(self, false_alarms: float = FALSE_ALARMS) -> float:
        """Returns the share of AI-made pictures found where so many real ones are called so."""
        reals = self.by_source(False).values()
        values = np.concatenate(list(reals))
        weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in reals])
        order = np.argsort(-values)
        passed = np.cumsum(weights[order]) / weights.sum() > false_alarms
        threshold = values[order][int(np.argmax(passed))]
        return float(np.mean([(one > threshold).mean() for one in self.by_source(True).values()]))


def _above(fake: Numbers, real: Numbers) -> float:
    gap = fake[:, None] - real[None]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


@dataclass(frozen=True)
class Estimate:
    """Means over splits, sources counted alike; the interval is of sources drawn again."""

    auc: float
    low: float
    high: float
    found: float
    """Share of AI-made pictures found where 10 % of the real ones are called AI-made."""
    splits: tuple[float, ...]
    """AUC of each split."""

    def __str__(self) -> str:
        each = " ".join(f"{one:.3f}" for one in self.splits)
        return f"{self.auc:.3f} ({self.low:.3f} to {self.high:.3f}), found {self.found:.2f}: {each}"


def estimate(judged: Sequence[Judged], seed: int = 0) -> Estimate:
    """Returns the estimate of all splits that hold both kinds of pictures."""
    judged = [one for one in judged if 0 < one.truth.sum() < len(one.truth)]
    tables = [one.table() for one in judged]
    random = np.random.default_rng(seed)
    drawn = [np.mean([_redrawn(table, random) for table in tables]) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    each = tuple(float(table.mean()) for table in tables)
    found = float(np.mean([one.found() for one in judged]))
    return Estimate(float(np.mean(each)), float(low), float(high), found, each)


def _redrawn(table: np.ndarray, random: np.random.Generator) -> float:
    rows, columns = (random.integers(size, size=size) for size in table.shape)
    return float(table[np.ix_(rows, columns)].mean())
