"""Builds a base set out of labelled pictures: `make base-set DATA=folder`.

    .venv/bin/python -m antifake.trainer.base_set.building FOLDER [--only 'test/*'] [--model mini]

FOLDER has an index.csv with the columns file, label and source. Pictures that match `--only` make
the set. The gate gets half of the owners of whom the recipe in trainer/mini saw no picture: what
it was trained on, the model judges too well to tell whether a word does harm. All others are
replayed. Which half follows from the number of their pictures and their names, before anything is
measured.
"""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import torch

from antifake.core.catalog import MINI, user_home
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, detector_of
from antifake.core.errors import AntifakeError, UsageError
from antifake.core.files import megabytes, write_atomically
from antifake.core.loading import ensure_model
from antifake.core.precision import Precision
from antifake.core.promptbook import SHIPPED, Promptbook
from antifake.core.terminal import progress_bar, say
from antifake.trainer.calibration import Truth
from antifake.trainer.examples import Example, from_manifest, owners_of_each_class
from antifake.trainer.features import vision_fingerprint
from antifake.trainer.mini.sampling import learned_from

from .clustering import clustered
from .compact import Rows, compact
from .kept import FOLDER, MAX_BYTES, SUFFIX, Pictures, to_bytes

PICTURES = ("test/*", "train*/*")
MOST = 100
"""Pictures of one owner, label and family, so that no gallery outweighs the others."""
MOST_KNOWN = 6
"""The same of owners that training saw, of whom there are many: replay needs all kinds of pictures
more than many of each."""


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", multiple=True, default=PICTURES, help="Pictures that make the set.")
@click.option("--model", default=MINI, show_default=True, help="Whose tower sees them.")
@click.option("--without", multiple=True, help="A source that is left out.")
@click.option("--out", default=FOLDER, type=click.Path(path_type=Path), help="Where it is kept.")
def main(
    data: Path, only: tuple[str, ...], model: str, without: tuple[str, ...], out: Path
) -> None:
    """Build the base set of a model out of the pictures in DATA."""
    home = user_home()
    bundle = ensure_model(home, model)
    exact = Precision(torch.device("cpu"), torch.float32)
    detector, _ = detector_of(bundle, Promptbook(home.prompts), SHIPPED, exact)
    index = data / "index.csv"
    trained = {one.owner for one in learned_from(data)}
    matching = [one for pattern in only for one in from_manifest(index, pattern)]
    chosen = thinned([one for one in matching if one.source not in without], trained)
    with progress_bar("base set") as progress:
        seen = list(_seen(detector, chosen, progress))
    if not seen:
        raise UsageError(f"{data} has no picture for the base set that can be used.")
    usable = [one for one, _ in seen]
    labels = np.array([one.is_fake for one in usable], bool)
    tokens = compact([rows for _, rows in seen])
    every = Pictures(tokens, labels, tuple(one.source for one in usable))
    in_gate = for_the_gate(usable, trained)
    content = to_bytes(every, in_gate, vision_fingerprint(bundle))
    if len(content) > MAX_BYTES:
        raise UsageError(f"The base set would be {megabytes(len(content))}: too large to ship.")
    write_atomically(out / f"{model}{SUFFIX}", content)
    for name, part in (("replayed", ~in_gate), ("for the gate", in_gate)):
        say(f"{name}: {(~labels[part]).sum()} real, {labels[part].sum()} AI-made pictures")


def thinned(pictures: Sequence[Example], trained: set[str]) -> list[Example]:
    """Returns at most so many of each owner, label and family, drawn by their file names; fewer
    of the owners in `trained`."""
    groups: defaultdict[tuple[str, bool, str], list[Example]] = defaultdict(list)
    for one in sorted(pictures, key=_drawn):
        groups[one.owner, one.is_fake, one.family].append(one)
    return [
        one
        for (owner, *_), group in groups.items()
        for one in group[: MOST_KNOWN if owner in trained else MOST]
    ]


def _drawn(one: Example) -> str:
    return hashlib.sha256(one.path.name.encode()).hexdigest()


def for_the_gate(pictures: Sequence[Example], trained: set[str]) -> Truth:
    """Returns which pictures the gate gets, bool [n]: those of every other owner that is not in
    `trained`, those of each class from the largest on."""
    others = [one for one in pictures if one.owner not in trained]
    gate = {
        name
        for owners in owners_of_each_class(others)
        for place, name in enumerate(owners)
        if place % 4 in (0, 3)
    }
    return np.array([one.owner in gate for one in pictures], bool)


def _seen(
    detector: Detector, pictures: list[Example], progress: Callable[[int, int], None]
) -> Iterator[tuple[Example, Rows]]:
    """Yields the pictures with their tokens. Each goes through the tower alone."""
    with Decoder(jobs=1, size=detector.model.image_size) as decoder:
        decoded = decoder.decode_many([one.path for one in pictures])
        for done, (one, (_, found)) in enumerate(zip(pictures, decoded, strict=True), 1):
            progress(done, len(pictures))
            if found.picture is None:
                say(f"{one.path} is left out: {found.error}")
                continue
            tokens = detector.model.vision_features(detector.pixels([found.picture.crop]))
            yield one, clustered(tokens[0].float().cpu().numpy())


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except AntifakeError as error:
        say(str(error))
        sys.exit(error.exit_code)
