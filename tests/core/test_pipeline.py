"""A batch in which something goes wrong with one picture."""

import json

import numpy as np
import torch
from conftest import tiny_prompt

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, load_detector
from antifake.core.pipeline import judge_all
from antifake.core.samples import drawn


class Spoiled(Detector):
    """The real detector, whose arithmetic fails for pictures with a white corner."""

    def margins(self, crops):
        found = super().margins(crops)
        white = torch.tensor([bool((np.asarray(crop)[0, 0] == 255).all()) for crop in crops])
        return found.masked_fill(white, float("nan"))


def test_a_picture_without_a_number_gets_a_sentence_and_its_neighbours_their_verdicts(tiny_home):
    import io

    from PIL import Image

    good = list(drawn().values())
    image = Image.open(io.BytesIO(good[0]))
    image.paste((255, 255, 255), (0, 0, 60, 60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    whole, _ = load_detector(tiny_home)
    spoiled = Spoiled(whole.model, tiny_prompt(1), "p@1")
    with Decoder(size=28) as decoder:
        rows = list(judge_all(spoiled, decoder, [good[0], buffer.getvalue(), good[1]]))
    assert [row.code for row in rows] == [None, "no_score", None]
    assert rows[1].label is rows[1].p_fake is None
    assert rows[0].label
    assert rows[2].label
    assert all("NaN" not in json.dumps(row.to_dict()) for row in rows)
