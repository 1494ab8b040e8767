"""The detector: batches of pictures in, verdicts out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .batching import judge_pictures
from .bundle import Bundle
from .catalog import Home
from .cuda_graphs import CudaGraphRunner, Forward, are_wanted, cuda_graph_capture, probe_cuda
from .dtype_benchmark import DtypeBenchmark
from .errors import NoScoreError
from .images import decode_whole, read_file
from .instructblip import InstructBlip, load
from .precision import Precision, use_physical_cores
from .prompt import SoftPrompt, load_prompt
from .promptbook import Promptbook
from .verdict import Bands, Verdict


class Detector:
    """A frozen model with one soft prompt."""

    def __init__(self, model: InstructBlip, prompt: SoftPrompt, prompt_version: str) -> None:
        self.model, self.prompt, self.prompt_version = model, prompt, prompt_version
        self._question = model.question(prompt)
        about = prompt.about
        shape = (1, 3, 1, 1)
        # From bytes to normalized pixels by one multiplication and one addition.
        scale = torch.tensor([1 / (255 * std) for std in about.std]).view(shape)
        shift = torch.tensor(
            [-mean / std for mean, std in zip(about.mean, about.std, strict=True)]
        ).view(shape)
        self._scale, self._shift = scale.to(model.device), shift.to(model.device)
        self._is_on_cuda = model.device.type == "cuda"
        self._forward: Forward = self._margins_of
        if self._is_on_cuda and are_wanted():
            self._forward = CudaGraphRunner(self._margins_of, cuda_graph_capture(), probe_cuda)

    @property
    def bands(self) -> Bands:
        return self.prompt.about.bands

    def pixels(self, crops: Sequence[np.ndarray]) -> Tensor:
        """uint8 crops [S, S, 3] -> normalized pixels, float32 [B, 3, S, S], on the device."""
        raw = torch.from_numpy(np.stack(crops))  # [B, S, S, 3]
        if self._is_on_cuda:
            # Pinned memory can be copied without blocking this thread.
            raw = raw.pin_memory().to(self.model.device, non_blocking=True)
        raw = raw.to(self.model.device)
        scaled = raw.permute(0, 3, 1, 2).float() * self._scale
        return (scaled + self._shift).contiguous()

    @torch.inference_mode()
    def margins(self, crops: Sequence[np.ndarray]) -> Tensor:
        """Returns l_no - l_yes of each uint8 crop [S, S, 3], as float32 [B] on the CPU."""
        return self._forward(self.pixels(crops)).cpu()

    def _margins_of(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]"""
        return self.model.margin(self.model.vision_features(pixels), self._question)

    def p_fake(self, margins: Tensor) -> Tensor:
        """Margins [B] -> calibrated probabilities [B] in [0, 1]; above 0.5 is AI-made."""
        about = self.prompt.about
        return torch.sigmoid((margins - about.threshold) / about.temperature)

    def judge(self, crops: Sequence[np.ndarray]) -> list[Verdict]:
        """Judges one or more uint8 crops [S, S, 3] in one batch.

        Raises NoScoreError if any score is not a finite number.
        """
        bands, manifest = self.bands, self.model.manifest
        scores = self.p_fake(self.margins(crops))
        if not torch.isfinite(scores).all():
            raise NoScoreError
        return [
            Verdict(p, bands.label(p), manifest.version, self.prompt_version)
            for p in scores.tolist()
        ]

    def judge_file(self, path: Path) -> Verdict:
        """Judges one trusted picture, decoding it in this process. Raises UnreadableImageError."""
        picture = decode_whole(read_file(path), self.model.image_size)
        (found,) = judge_pictures(self.judge, self.bands, [picture.crops])
        if isinstance(found, NoScoreError):
            raise found
        return found


def load_detector(
    home: Home,
    model: str | None = None,
    prompt: str | None = None,
    precision: Precision | None = None,
) -> tuple[Detector, str | None]:
    """Returns the detector, and a warning if something about it should be known.

    `model` and `prompt` are names or files; None stands for the active ones. Raises ModelError.
    """
    use_physical_cores()
    bundle = home.bundle(model)
    benchmark = DtypeBenchmark.at(home.root)
    return detector_of(bundle, Promptbook(home.prompts), prompt, precision, benchmark=benchmark)


def detector_of(
    bundle: Bundle,
    book: Promptbook,
    prompt: str | None = None,
    precision: Precision | None = None,
    *,
    benchmark: DtypeBenchmark | None = None,
) -> tuple[Detector, str | None]:
    """Loads one bundle with the named prompt, or with the active one. Raises ModelError."""
    chosen = book.chosen(prompt, bundle)
    soft = load_prompt(chosen.file.path)
    loaded = load(bundle, precision, benchmark=benchmark)
    told = " ".join(filter(None, (chosen.warning, loaded.precision.note))) or None
    return Detector(loaded, soft, chosen.version), told
