"""Measures how fast `mini` is, relative to floors of the same run: `make bench`.

Not a test: a loaded machine is no defect. Every figure is the median of
several runs, floor and subject in turn, so that both have the same load.
"""

import itertools
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageOps

from antifake.core.batching import judge_pictures
from antifake.core.catalog import Home
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, load_detector
from antifake.core.images import decode, decode_whole
from antifake.core.instructblip import load
from antifake.core.pipeline import judge_all
from antifake.core.promptbook import Promptbook
from antifake.core.samples import photographs
from antifake.trainer.examples import from_folders
from antifake.trainer.features import FeatureCache
from antifake.trainer.presets import CORRECTIONS
from antifake.trainer.trainable import Shape
from antifake.trainer.training import TrainingRequest, Workspace, train
from tests.kit.pictures import saved
from tests.kit.toy import toy_pictures

from . import daemon, decoding, evidence, extension
from .measure import by_turns, process, row

SHAPES = {
    "1:1": (1200, 1200),
    "3:2": (1500, 1000),
    "16:9": (1920, 1080),
    "21:9": (2100, 900),
    "4:1": (2400, 600),
    "13:1": (7800, 600),
}


def one_picture(detector: Detector, data: bytes) -> None:
    """Measures bytes to verdict, beside the bare vision transformer at the same precision."""
    crop = decode(data).crop
    pixels = detector.pixels([crop])
    verdict, vision = by_turns(
        lambda: detector.judge([decode(data).crop]),
        lambda: detector.model.vision_features(pixels),
        runs=30,
    )
    row("one picture, bytes to verdict", verdict, "bare vision forward", vision, "aim <= 1.3")


def whole_pictures(detector: Detector) -> None:
    """Measures pictures of several shapes judged whole, beside their middle square alone."""
    for shape, size in SHAPES.items():
        data = saved(photograph(size), "JPEG", quality=90)
        whole, middle = by_turns(
            lambda data=data: judge_pictures(
                detector.judge, detector.bands, [decode_whole(data).crops]
            ),
            lambda data=data: detector.judge([decode(data).crop]),
            runs=15,
        )
        n = len(decode_whole(data).parts)
        row(f"whole picture, {shape}, {n} parts", whole, "its middle square", middle)


def photograph(size: tuple[int, int]) -> Image.Image:
    """Returns a photograph of a dependency, cropped to a shape and enlarged to a size."""
    image = Image.open(photographs()[0]).convert("RGB")
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)


def cold_start(path: Path) -> None:
    check, torch_alone = by_turns(
        process("-m", "antifake.daemon", "check", str(path)),
        process("-c", "import torch"),
        runs=7,
    )
    row("cold `antifake check`, start to verdict", check, "import torch", torch_alone, "aim <= 2.5")


def scanning(detector: Detector, path: Path, count: int = 48) -> None:
    with tempfile.TemporaryDirectory() as folder, Decoder(view="whole") as decoder:
        copies = [Path(folder) / f"{i}.jpg" for i in range(count)]
        for copy in copies:
            copy.write_bytes(path.read_bytes())
        crops = list(decode_whole(path.read_bytes()).crops) * 8
        list(judge_all(detector, decoder, copies[:8]))
        scan, model = by_turns(
            lambda: list(judge_all(detector, decoder, copies)),
            lambda: [detector.judge(crops) for _ in range(count // 8)],
            runs=3,
        )
    row(
        f"scan, {count / scan:.1f} pictures/s, each",
        scan / count,
        f"the model alone on {len(crops) // 8} parts each",
        model / count,
        "aim <= 1.11",
    )


def loading(home: Home) -> None:
    bundle = home.bundle("mini")
    took, verify = by_turns(lambda: load(bundle), bundle.verify, runs=7)
    row("loading mini, warm, after imports", took, "hashing its files", verify, "aim <= 1000 ms")


def ranking(detector: Detector, data: bytes) -> None:
    """Runs the official method: a forward over both candidates, 2 B sequences one token longer."""
    features = detector.model.vision_features(detector.pixels([decode(data).crop]))
    model, question = detector.model, detector._question
    tokens = model.manifest.tokens
    answers = model.language_model.get_input_embeddings()(torch.tensor([[tokens.yes], [tokens.no]]))

    @torch.inference_mode()
    def ranked() -> torch.Tensor:
        with model.precision.autocast():
            words = model.language_projection(model.queries(features, question))
            text = torch.cat([question.before[0], question.llm_rows, question.after[0]])
            prompt = torch.cat([words[0].float(), text])[None]
            both = torch.cat([prompt.expand(2, -1, -1), answers.float()], dim=1)
            hidden = model.language_model(inputs_embeds=both, use_cache=False).last_hidden_state
            return model.lm_head(hidden)

    with torch.inference_mode():
        one, two = by_turns(lambda: model.margin(features, question), ranked, runs=50)
    row("two-candidate ranking, after the vision part", two, "one pass", one)


def correcting(home: Home, count: int = 32, epochs: int = 10) -> None:
    """Measures `train` with and without kept features. Each run starts without any."""
    settings = replace(CORRECTIONS, epochs=epochs, patience=0, replay=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = from_folders(*toy_pictures(folder, count))
        numbers = itertools.count()

        def learn(cache: FeatureCache | None) -> None:
            order = TrainingRequest(
                folder / f"{next(numbers)}.safetensors", pictures, [], settings, Shape()
            )
            place = Workspace(home.bundle("mini"), Promptbook(home.prompts), cache)
            train(order, place, lambda _: None, lambda _done, _total: None)

        cached, uncached = by_turns(
            lambda: learn(FeatureCache(folder / f"kept{next(numbers)}")),
            lambda: learn(None),
            runs=3,
        )
    row(
        f"correcting with {count} pictures, {epochs} epochs, cached", cached, "not cached", uncached
    )


def main() -> None:
    home = Home(Path(os.environ["ANTIFAKE_HOME"]))
    path = photographs()[0]
    data = path.read_bytes()
    detector, _ = load_detector(home, "mini")
    for _ in range(3):
        detector.judge([decode(data).crop])
    machine = f"{detector.model.precision}, torch {torch.__version__}"
    print(f"{machine}, {torch.get_num_threads()} threads, a {len(data) // 1000} KB JPEG of 640x427")
    one_picture(detector, data)
    decoding.measure(photograph((1500, 1000)))
    decoding.measure(photograph((4000, 3000)), runs=3)
    whole_pictures(detector)
    cold_start(path)
    evidence.measure(path)
    scanning(detector, path)
    loading(home)
    ranking(detector, data)
    correcting(home)
    daemon.measure(home, data)
    extension.measure(home)


main()
