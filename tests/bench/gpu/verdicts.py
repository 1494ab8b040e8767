"""Measures judging, beside reading the weights, the products, and the official method."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from antifake.core.detector import Detector
from antifake.core.pixels import Pixels

from .clock import say, timed
from .floors import Products, Reading, only, weight_bytes
from .model import TOKENS
from .setting import Bench
from .table import Aim

OFFICIAL_BATCH = 8


def verdicts(bench: Bench) -> None:
    """Measures crops to margins at every batch size."""
    detector = bench.detector()
    for batch in bench.scale.batches:
        say(f"judging batches of {batch}")
        if batch == 1:
            one_picture(bench, detector)
        else:
            many_pictures(bench, detector, batch)
    parts(bench, detector, max(bench.scale.batches))


def one_picture(bench: Bench, detector: Detector) -> None:
    """A small batch may be replayed as a CUDA graph, so it is run operation by operation, too.

    A graphics card waits for the weights, a processor for the products.
    """
    crops, reading = bench.crops(1), Reading(bench.place)
    alone = Products(bench.products, 1, bench.precision)
    verdict_s, plain_s, read_s, alone_s = timed(
        bench.place,
        lambda: detector.margins(crops),
        lambda: one_by_one(detector, crops),
        reading,
        alone,
        for_s=bench.scale.for_s,
    )
    n_bytes, per_s = weight_bytes(detector.model), reading.n_bytes / read_s
    floor = f"reading {n_bytes / 1e9:.2f} GB of weights at {per_s / 1e9:.0f} GB/s"
    aim = Aim(at_most=2.0)
    bench.table.ms("verdict, batch 1", verdict_s, floor, n_bytes / per_s, aim, pictures=1)
    bench.table.ms("  beside its products", verdict_s, rate(alone, alone_s), alone_s)
    bench.table.ms("  operation by operation", plain_s, "verdict, batch 1", verdict_s)


@torch.inference_mode()
def one_by_one(detector: Detector, crops: Sequence[Pixels]) -> Tensor:
    features = detector.model.vision_features(detector.pixels(crops))
    return detector.model.margin(features, detector._question).cpu()


def many_pictures(bench: Bench, detector: Detector, batch: int) -> None:
    crops, floor = bench.crops(batch), Products(bench.products, batch, bench.precision)
    verdict_s, floor_s = timed(
        bench.place, lambda: detector.margins(crops), floor, for_s=bench.scale.for_s
    )
    # 60 % of the products' rate.
    aim = Aim(at_most=1 / 0.6) if batch >= 64 else None
    what, beside = f"verdict, batch {batch}", rate(floor, floor_s)
    bench.table.ms(what, verdict_s, beside, floor_s, aim, pictures=batch)


def rate(floor: Products, took_s: float) -> str:
    return f"its products alone at {floor.flops / took_s / 1e12:.3g} TFLOP/s"


@torch.inference_mode()
def parts(bench: Bench, detector: Detector, batch: int) -> None:
    """Measures the parts of a batch, each run without CUDA graphs."""
    model = detector.model
    pixels = detector.pixels(bench.crops(batch))
    features = model.vision_features(pixels)
    words = words_of(detector, features)
    runs: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
        "vision tower": (lambda: model.vision_features(pixels), ("vision_model",)),
        "Q-Former": (
            lambda: words_of(detector, features),
            ("qformer", "language_projection"),
        ),
        "language model": (
            lambda: model.language_model(inputs_embeds=words, use_cache=False),
            ("language_model",),
        ),
    }
    for name, (run, names) in runs.items():
        floor = Products(only(bench.products, names), batch, bench.precision)
        took_s, floor_s = timed(bench.place, in_half(detector, run), floor, for_s=1.0)
        bench.table.ms(f"  of batch {batch}, {name}", took_s, rate(floor, floor_s), floor_s)


def in_half(detector: Detector, run: Callable[[], object]) -> Callable[[], object]:
    def inside() -> None:
        with torch.inference_mode(), detector.model.precision.autocast():
            run()

    return inside


def words_of(detector: Detector, features: Tensor) -> Tensor:
    """Returns the language model's input: queries and question, float32 [B, Q + T, Hl]."""
    model, question = detector.model, detector._question
    with model.precision.autocast():
        seen = model.language_projection(model.queries(features, question)).float()
    text = torch.cat([question.before[0], question.llm_rows, question.after[0]])  # [T, Hl]
    return torch.cat([seen, text.expand(len(features), -1, -1)], dim=1)


class OfficialWay:
    """`predict_class` of the official test.py with the candidates "yes" and "no".

    The vision tower and the Q-Former see a picture once. The language model reads it twice, a
    candidate after each, and every position goes through the whole head; the answer is the
    candidate with the lower loss. Precisions are the official mix, float32 residual stream and
    half products. Its attention is ours (sdpa), the official one is slower.
    """

    def __init__(self, detector: Detector, vocabulary: int) -> None:
        """`vocabulary`: rows of the whole head, which a bundle need not have."""
        model = detector.model
        width = model.language_projection.out_features
        generator = torch.Generator(model.device).manual_seed(1)

        def noise(rows: int) -> Tensor:
            return torch.randn(rows, width, generator=generator, device=model.device)

        self._detector = detector
        self._ids = torch.tensor([TOKENS.yes, TOKENS.no], device=model.device)
        self._candidates = noise(2)[:, None]  # [2, 1, Hl]
        head = (noise(vocabulary) * width**-0.5).to(model.precision.dtype)
        head[self._ids] = model.lm_head.weight  # so that it decides as the margin does
        self._head = nn.Linear(width, vocabulary, bias=False, device="meta")
        self._head.weight = nn.Parameter(head, requires_grad=False)

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Pixels]) -> list[int]:
        """Returns 0 for "yes" or 1 for "no" for each picture."""
        detector, batch = self._detector, len(crops)
        features = detector.model.vision_features(detector.pixels(crops))
        prompt = words_of(detector, features).repeat_interleave(2, dim=0)  # [2 B, Q + T, Hl]
        embeds = torch.cat([prompt, self._candidates.repeat(batch, 1, 1)], dim=1)
        with detector.model.precision.autocast():
            output = detector.model.language_model(inputs_embeds=embeds, use_cache=False)
            logits = self._head(output.last_hidden_state)  # [2 B, Q + T + 1, V]
        targets = torch.full(logits.shape[:2], -100, device=logits.device)
        targets[:, -1] = self._ids.repeat(batch)  # only the candidate counts
        shifted = logits[:, :-1].float().transpose(1, 2)  # [2 B, V, Q + T]
        losses = functional.cross_entropy(shifted, targets[:, 1:], reduction="none").mean(dim=1)
        best: list[int] = losses.view(batch, 2).argsort(dim=1, stable=True)[:, 0].tolist()
        return best


def official(bench: Bench) -> None:
    """Measures the largest batch beside the official method at its batch of 8, per picture."""
    say("judging the official way")
    detector, batch = bench.detector(), max(bench.scale.batches)
    ranking = OfficialWay(detector, bench.config["text_config"]["vocab_size"])
    few, many = bench.crops(OFFICIAL_BATCH), bench.crops(batch)
    theirs_s, ours_s = timed(
        bench.place,
        lambda: ranking(few),
        lambda: detector.margins(many),
        for_s=bench.scale.for_s,
    )
    what, beside = f"the official way, batch {OFFICIAL_BATCH}, a picture", f"ours, batch {batch}"
    each_s, aim = theirs_s / OFFICIAL_BATCH, Aim(at_least=3.0)
    bench.table.ms(what, each_s, beside, ours_s / batch, aim, pictures=1)
