"""Training on the tiny model in this process: what the command does, without its start."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from antifake.core.bundle import Bundle
from antifake.core.catalog import Home
from antifake.core.precision import Precision
from antifake.core.prompt import SoftPrompt, load_prompt
from antifake.core.promptbook import Promptbook
from antifake.trainer import training
from antifake.trainer.base_set.kept import BaseSet
from antifake.trainer.examples import Example, from_folders
from antifake.trainer.features import FeatureCache
from antifake.trainer.presets import CORRECTIONS, Settings
from antifake.trainer.trainable import Shape
from antifake.trainer.training import TrainingRequest, Workspace

from .threads import one_thread

QUICK = replace(CORRECTIONS, lr=0.05, epochs=5, batch=8, patience=0, l2_sp=0.0)
"""20 steps on 32 pictures."""


@dataclass
class TinyTrainer:
    """A place to train in, and what was said there."""

    place: Workspace
    said: list[str] = field(default_factory=list)

    def train(
        self,
        out: Path,
        learn: list[Example],
        settings: Settings = QUICK,
        *,
        validate: Sequence[Example] = (),
        shape: Shape | None = None,
        start: str | None = None,
        lora: int = 0,
        stop_after: int | None = None,
    ) -> SoftPrompt | None:
        """Train as the command would. Returns the prompt that it wrote, if it wrote one.

        `stop_after`: the user interrupts it after that many steps.
        """

        def show(done: int, _total: int) -> None:
            if done == stop_after:
                raise KeyboardInterrupt

        asked = TrainingRequest(
            out, learn, list(validate), settings, shape or Shape(), start=start, lora=lora
        )
        with one_thread():
            training.train(asked, self.place, self.said.append, show)
        return load_prompt(out) if out.is_file() else None

    @property
    def all_said(self) -> str:
        return "\n".join(self.said)


def tiny_trainer(
    home: Home,
    bundle: Bundle | None = None,
    *,
    cached: bool = True,
    precision: Precision | None = None,
    base: BaseSet | None = None,
) -> TinyTrainer:
    bundle = bundle or home.bundle()
    cache = FeatureCache(home.root / "cache" / "features") if cached else None
    place = Workspace(bundle, Promptbook(home.prompts), cache, precision, lambda _: base)
    return TinyTrainer(place)


def toy_examples(folder: Path) -> list[Example]:
    return from_folders(folder / "real", folder / "fake")
