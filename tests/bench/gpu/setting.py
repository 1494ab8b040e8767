"""Shared by all parts: the configuration, the device, one model, the table."""

import gc
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from kit.pictures import picture

from antifake.core.detector import Detector
from antifake.core.errors import AntifakeError
from antifake.core.pixels import Pixels
from antifake.core.precision import Precision
from antifake.core.quantization import Weights

from .clock import finish, say
from .floors import Product, products, weight_bytes
from .model import build, detector_of, skeleton
from .table import Line, Table


@dataclass(frozen=True)
class Scale:
    """How much is measured of everything."""

    batches: tuple[int, ...] = (1, 8, 64)
    files: int = 512
    """Number of JPEG files that are judged."""
    pictures: int = 96
    """Number of pictures that a word is tuned on."""
    side: int = 1414
    """Side of those files in pixels: 2 megapixels."""
    compared: int = 64
    """Number of pictures that precisions are compared on."""
    jobs: int = 1
    """Number of processes that decode."""
    for_s: float = 3.0
    """Seconds for one comparison."""
    long: int = 1000
    """Number of pictures for the long tuning run, if it is requested."""


class Bench:
    """Holds at most one model, because a card of 24 GB has no room for two."""

    def __init__(
        self, config: dict[str, Any], precision: Precision, scale: Scale, table: Table
    ) -> None:
        self.config, self.precision, self.scale, self.table = config, precision, scale, table
        self.has_failed = False
        self.resident_bytes = 0
        """Bytes that the current model takes on the device."""
        self._detector: Detector | None = None

    @property
    def place(self) -> torch.device:
        return self.precision.device

    @property
    def image_size(self) -> int:
        """Side of the square picture that the model sees, in pixels."""
        return int(self.config["vision_config"]["image_size"])

    @cached_property
    def products(self) -> Counter[Product]:
        """The matrix products of one picture."""
        say("listing the matrix products of one picture")
        return products(self.config)

    def detector(self, weights: Weights = "plain") -> Detector:
        """Returns the model in this precision. Drops any other model first."""
        if self._detector and self._detector.model.precision.weights == weights:
            return self._detector
        self.free()
        wanted = replace(self.precision, weights=weights)
        say(f"drawing the weights, {wanted}")
        before = allocated(self.place)
        model = build(self.config, wanted)
        finish(self.place)
        self.resident_bytes = allocated(self.place) - before or weight_bytes(model)
        self._detector = detector_of(model)
        return self._detector

    def free(self) -> None:
        """Drops the model. The caller must hold no other reference to it."""
        self._detector = None
        collect(self.place)

    def numbers_bytes(self, weights: Weights) -> float:
        """Returns the bytes of the model's numbers alone in this precision."""
        return skeleton(self.config).bytes_as(self.precision.dtype, weights)

    def crops(self, count: int) -> list[Pixels]:
        """Returns pictures as from a decoder, no two alike, uint8 [S, S, 3] each."""
        return [np.array(picture(seed, self.image_size)) for seed in range(count)]

    def attempt(self, what: str, work: Callable[["Bench"], None]) -> None:
        """Runs one part. If it fails, the table says why, and the other parts go on."""
        try:
            work(self)
        except torch.OutOfMemoryError:
            self.table.add(
                Line(what, "not measured", beside="It needs more memory than is free here.")
            )
        except ImportError as error:
            why = f"It takes a library that is not installed: {error}."
            self.table.add(Line(what, "not measured", beside=why))
        except AntifakeError as error:
            self.table.add(Line(what, "not measured", beside=str(error)))
        except Exception as error:  # noqa: BLE001 - time on such a machine is short: the rest counts
            traceback.print_exc()
            self.has_failed = True
            self.table.add(
                Line(what, "FAILED", beside=f"{type(error).__name__}: {str(error)[:160]}")
            )
        collect(self.place)


def collect(place: torch.device) -> None:
    """Frees memory without references, such as the frames of an error."""
    gc.collect()
    if place.type == "cuda":
        # A failed recording can break CUDA: the table so far must not be lost with it.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def allocated(place: torch.device) -> int:
    """Returns the bytes of all tensors on a graphics card. They are not counted on a processor."""
    return torch.cuda.memory_allocated(place) if place.type == "cuda" else 0
