"""Pictures in, verdicts out, in batches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .bundle import Bundle
from .catalog import Home
from .cuda_graphs import CudaGraphRunner, Forward, cuda_graph_capture
from .dtype_benchmark import DtypeBenchmark
from .errors import NoScoreError
from .images import decode, read_file
from .instructblip import InstructBlip, load
from .precision import Precision, use_physical_cores
from .prompt import SoftPrompt, load_prompt
from .promptbook import Promptbook
from .verdict import Verdict


class Detector:
    """A frozen model, one prompt, and the question they make together."""

    def __init__(self, model: InstructBlip, prompt: SoftPrompt, prompt_version: str) -> None:
        self.model, self.prompt, self.prompt_version = model, prompt, prompt_version
        self._question = model.question(prompt)
        about = prompt.about
        shape = (1, 3, 1, 1)
        # One multiplication and one addition from bytes to normalised pixels.
        scale = torch.tensor([1 / (255 * std) for std in about.std]).view(shape)
        shift = torch.tensor(
            [-mean / std for mean, std in zip(about.mean, about.std, strict=True)]
        ).view(shape)
        self._scale, self._shift = scale.to(model.device), shift.to(model.device)
        self._is_on_cuda = model.device.type == "cuda"
        self._judged: Forward = self._pass
        if self._is_on_cuda:
            self._judged = CudaGraphRunner(self._pass, cuda_graph_capture())

    def pixels(self, crops: Sequence[np.ndarray]) -> Tensor:
        """uint8 crops [S, S, 3] -> normalised pixels float32 [B, 3, S, S] on the device."""
        raw = torch.from_numpy(np.stack(crops))  # [B, S, S, 3]
        if self._is_on_cuda:
            # From memory that stays in its place the card fetches bytes by itself.
            raw = raw.pin_memory().to(self.model.device, non_blocking=True)
        raw = raw.to(self.model.device)
        scaled = raw.permute(0, 3, 1, 2).float() * self._scale
        return (scaled + self._shift).contiguous()

    @torch.inference_mode()
    def margins(self, crops: Sequence[np.ndarray]) -> Tensor:
        """l_no - l_yes of each crop, float32 [B] on the CPU."""
        return self._judged(self.pixels(crops)).cpu()

    def _pass(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]"""
        return self.model.margin(self.model.vision_features(pixels), self._question)

    def p_fake(self, margins: Tensor) -> Tensor:
        """Calibrated probabilities, float32 in [0, 1]; 0.5 is the decision."""
        about = self.prompt.about
        return torch.sigmoid((margins - about.threshold) / about.temperature)

    def judge(self, crops: Sequence[np.ndarray]) -> list[Verdict]:
        """Judge one or more uint8 crops [S, S, 3] in one batch.

        Raises NoScoreError where the arithmetic failed for any of them.
        """
        bands, manifest = self.prompt.about.bands, self.model.manifest
        scores = self.p_fake(self.margins(crops))
        if not torch.isfinite(scores).all():
            raise NoScoreError
        return [
            Verdict(p, bands.label(p), manifest.version, self.prompt_version)
            for p in scores.tolist()
        ]

    def judge_file(self, path: Path) -> Verdict:
        """Judge one picture of a trusted folder in this process. Raises UnreadableImageError."""
        return self.judge([decode(read_file(path), self.model.image_size).crop])[0]


def load_detector(
    home: Home,
    model: str | None = None,
    prompt: str | None = None,
    precision: Precision | None = None,
) -> tuple[Detector, str | None]:
    """The detector that answers, and a warning where it is not the one that was meant to.

    `model` and `prompt` are names or files, the active ones for None. Raises ModelError.
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
    """Load one bundle with a prompt of that name, or with the one in use. Raises ModelError."""
    if prompt:
        file, warning = book.open(prompt, bundle), None
        version = f"{Path(prompt).name.removesuffix('.safetensors')}@{file.id}"
    else:
        chosen = book.active(bundle)
        file, warning, version = chosen.file, chosen.warning, chosen.version
    soft = load_prompt(file.path)
    loaded = load(bundle, precision, benchmark=benchmark)
    told = " ".join(filter(None, (warning, loaded.precision.note))) or None
    return Detector(loaded, soft, version), told
