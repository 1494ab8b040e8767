"""Builds a base set out of labelled pictures: `make base-set DATA=folder`.

    .venv/bin/python -m antifake.trainer.base_set.building FOLDER [--only 'test/*'] [--model mini]

FOLDER has an index.csv with the columns file, label and source. Pictures that match `--only` make
the set. The gate gets sources of which training saw nothing: those without a picture that does not
match. The others are replayed, and so is what `--replay` names: stock photographs and pictures like
them, in which `mini` sees no difference. They are what a new word harms first.
"""

import sys
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
from antifake.trainer.examples import Example, from_manifest
from antifake.trainer.features import vision_fingerprint

from .compact import CompactTokens, compact, joined
from .kept import FOLDER, MAX_BYTES, SUFFIX, Pictures, to_bytes

HARD = ("ML72/AI-Image-Classifier-Playground",)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", default="test/*", show_default=True, help="Pictures that make the set.")
@click.option("--model", default=MINI, show_default=True, help="Whose tower sees them.")
@click.option("--replay", multiple=True, default=HARD, help="A source that is replayed.")
@click.option("--out", default=FOLDER, type=click.Path(path_type=Path), help="Where it is kept.")
def main(data: Path, only: str, model: str, replay: tuple[str, ...], out: Path) -> None:
    """Build the base set of a model out of the pictures in DATA."""
    home = user_home()
    bundle = ensure_model(home, model)
    exact = Precision(torch.device("cpu"), torch.float32)
    detector, _ = detector_of(bundle, Promptbook(home.prompts), SHIPPED, exact)
    chosen = from_manifest(data / "index.csv", only)
    with progress_bar("base set") as progress:
        tokens = _tokens(detector, chosen, progress)
    labels = np.array([one.is_fake for one in chosen])
    every = Pictures(tokens, labels, tuple(one.source for one in chosen))
    in_gate = unseen(chosen, from_manifest(data / "index.csv"))
    in_gate &= np.array([one.source not in replay for one in chosen])
    content = to_bytes(every, in_gate, vision_fingerprint(bundle))
    if len(content) > MAX_BYTES:
        raise UsageError(f"The base set would be {megabytes(len(content))}: too large to ship.")
    write_atomically(out / f"{model}{SUFFIX}", content)
    for name, part in (("replayed", ~in_gate), ("for the gate", in_gate)):
        say(f"{name}: {(~labels[part]).sum()} real, {labels[part].sum()} AI-made pictures")


def unseen(chosen: list[Example], every: list[Example]) -> np.ndarray:
    """Returns which pictures are of sources that occur among the chosen ones only, bool [n]."""
    paths = {one.path for one in chosen}
    seen = {one.source for one in every if one.path not in paths}
    return np.array([one.source not in seen for one in chosen], bool)


def _tokens(detector: Detector, chosen: list[Example], progress: object) -> CompactTokens:
    """Returns the tokens of all pictures. Each goes through the tower alone."""
    found = []
    with Decoder(jobs=1, size=detector.model.image_size) as decoder:
        for path, one in decoder.decode_many([one.path for one in chosen]):
            if one.picture is None:
                raise UsageError(f"{path} cannot be used: {one.error}")
            tokens = detector.model.vision_features(detector.pixels([one.picture.crop]))
            found.append(compact(tokens[0].float().cpu().numpy()))
            if callable(progress):
                progress(len(found), len(chosen))
    return joined(found)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except AntifakeError as error:
        say(str(error))
        sys.exit(error.exit_code)
