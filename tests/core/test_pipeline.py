"""A batch in which something goes wrong with one picture."""

import json

import numpy as np
import pytest
import torch
from conftest import tiny_prompt
from kit.toy import toy_pictures

from antifake.core.batching import judge_in_batches
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, load_detector
from antifake.core.errors import NoMemoryError, NoScoreError
from antifake.core.pipeline import judge_all
from antifake.core.samples import drawn
from antifake.core.scanning import DoneBefore, Scan
from antifake.core.verdict import Verdict
from antifake.core.walk import FileFilter
from antifake.trainer.evaluate import judge_labelled
from antifake.trainer.examples import Example


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


def test_a_verdict_on_a_part_of_a_picture_says_so(tiny_home):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(next(iter(drawn().values())))).convert("RGB").save(file, "BMP")
    whole, _ = load_detector(tiny_home)
    cut = file.getvalue()[: file.tell() * 3 // 4]
    with Decoder(size=28) as decoder:
        rows = list(judge_all(whole, decoder, [file.getvalue(), cut]))
    assert rows[0].note is None
    assert rows[1].label
    assert rows[1].note == "About 25 % of this picture is missing; the rest was judged."
    assert rows[1].to_text(percent=False).endswith(f"-: {rows[1].note}")


# --- A detector that is short of memory ----------------------------------------------------------


class Cramped(Detector):
    """The real detector, which has memory for two pictures at once."""

    def margins(self, crops):
        if len(crops) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] can't allocate memory: 9 bytes")
        return super().margins(crops)


def test_every_picture_is_judged_where_memory_suffices_for_two_at_once(tiny_home, tmp_path):
    toy_pictures(tmp_path, n=7)
    paths = sorted(tmp_path.rglob("*.*g"))
    whole, _ = load_detector(tiny_home)
    cramped = Cramped(whole.model, tiny_prompt(1), "p@1")
    with Decoder(size=28) as decoder:
        assert {row.error for row in judge_all(cramped, decoder, paths)} == {None}
        scan = Scan([tmp_path], FileFilter(recursive=True))
        results = list(scan.results(cramped, decoder, DoneBefore()))
        measured = list(judge_labelled(cramped, decoder, [Example(path, False) for path in paths]))
    assert len(results) == len(measured) == 7
    assert {one.error for one in results} == {None}
    assert {one.row.error for one in measured} == {None}


def brightness(fails):
    def judge(batch):
        if error := fails(batch):
            raise error
        return [Verdict(float(crop.mean()) / 255, "unsure", "m", "p") for crop in batch]

    return judge


def crops(n):
    return [np.full((28, 28, 3), 10 * number + 1, np.uint8) for number in range(n)]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] can't allocate memory: 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("HIP"),
    ],
)
def test_a_batch_too_large_for_the_memory_is_halved(error):
    sizes = []

    def fails(batch):
        sizes.append(len(batch))
        return error if len(batch) > 2 else None

    batch = crops(7)
    assert judge_in_batches(brightness(fails), batch) == brightness(lambda _: None)(batch)
    assert sizes == [7, 4, 2, 2, 3, 2, 1]


def test_one_picture_too_large_for_the_memory_has_a_sentence():
    (found,) = judge_in_batches(brightness(lambda _: MemoryError()), crops(1))
    assert isinstance(found, NoMemoryError)
    assert isinstance(found, NoScoreError)
    assert found.code == "no_memory"
    assert "too little free memory" in str(found)


def test_one_picture_without_a_number_costs_the_others_nothing():
    batch = crops(5)
    batch[3][:] = 0

    def fails(some):
        return NoScoreError() if any(not crop.any() for crop in some) else None

    found = judge_in_batches(brightness(fails), batch)
    assert [type(one) for one in found] == [Verdict, Verdict, Verdict, NoScoreError, Verdict]


def test_another_fault_is_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="device-side assert"):
        judge_in_batches(brightness(lambda _: RuntimeError("device-side assert")), crops(2))
