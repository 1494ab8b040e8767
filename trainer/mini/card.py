"""A draft of the model card of a bundle that the recipe built.

It states what the recipe knows and has measured. What it has not measured is named as open, with
the command that measures it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from antifake.core.bundle import PROMPT, Bundle
from antifake.core.embedded import TOWER_SHARD
from antifake.core.files import write_atomically
from antifake.core.prompt_file import open_prompt
from antifake.trainer.examples import Example

from .towers.tower import Tower

NAME = "MODEL_CARD.md"
_MADE = {
    "leave_out_auc": "AUC on what was left out of training, mean",
    "leave_out_auc_95": "its 95 % interval",
}


@dataclass(frozen=True)
class Card:
    """What is known of a finished bundle."""

    tower: Tower
    bundle: Bundle
    examples: Sequence[Example]
    """All pictures that it was trained on."""
    run: str
    """How it was trained, in a sentence."""
    calibration: str
    """What the calibration gave on the pictures that were left out."""

    def save(self, folder: Path) -> Path:
        """Writes the draft into a folder and returns its path."""
        path = folder / NAME
        write_atomically(path, self.text().encode())
        return path

    def text(self) -> str:
        """Returns the draft, in Markdown."""
        return "\n".join(
            [
                f"# {self.bundle.manifest.name}, a model for antifake: draft of its card",
                "",
                *self._what(),
                *self._training(),
                *self._figures(),
                *self._open(),
            ]
        )

    def _what(self) -> list[str]:
        manifest, tower = self.bundle.manifest, self.tower
        shape, files = tower.shape, manifest.files
        tokens = shape.grid**2 + int(tower.class_token)
        licence = tower.licence or "not stated in its folder; find it out before you pass this on"
        own = manifest.total_bytes - files[TOWER_SHARD].bytes
        return [
            "## What it is",
            "",
            f"A small InstructBLIP. It judges squares of {shape.image_size} x {shape.image_size} "
            f"pixels. Its version is {manifest.version}.",
            "",
            "| | |",
            "|---|---|",
            f"| vision tower | {tower.name}, first {shape.num_hidden_layers} layers, "
            f"{shape.hidden_size} wide, {tokens} tokens; frozen, int8, "
            f"{files[TOWER_SHARD].bytes / 1e6:.1f} MB |",
            f"| licence of the tower | {licence} |",
            f"| sha256 of the tower as stored | {files[TOWER_SHARD].sha256} |",
            f"| pixels | mean {_numbers(tower.pixels.mean)}, "
            f"standard deviation {_numbers(tower.pixels.std)} |",
            f"| trained on it | {own / 1e6:.1f} MB: Q-Former from all-MiniLM-L6-v2, projection, "
            "language model from SmolLM2-135M-Instruct (both Apache-2.0), the learned word |",
            "",
            *(f"{note}\n" for note in tower.notes),
        ]

    def _training(self) -> list[str]:
        by_label = {
            is_fake: [one for one in self.examples if one.is_fake == is_fake]
            for is_fake in (False, True)
        }
        rows = [
            f"| {word} | {len(found)} | {len({one.source for one in found})} | "
            f"{_counted(one.kind for one in found)} |"
            for word, found in (("real", by_label[False]), ("AI-made", by_label[True]))
        ]
        families = _counted(one.family for one in by_label[True])
        return [
            "## Training",
            "",
            "| pictures | | sources | kinds |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Families of generators: {families}.",
            "",
            self.run,
            "",
        ]

    def _figures(self) -> list[str]:
        about = open_prompt(self.bundle.folder / PROMPT).about
        made = [f"| {_MADE[key]} | {about.made[key]} |" for key in _MADE if key in about.made]
        return [
            "## What the recipe measured",
            "",
            "| | |",
            "|---|---|",
            *made,
            f"| calibration | {self.calibration} |",
            "",
        ]

    def _open(self) -> list[str]:
        folder = f"{self.bundle.folder}/"
        return [
            "## What is still to be measured",
            "",
            "- Pictures of other sources than these: "
            f"`antifake evaluate --model {folder}` on a set of them.",
            "- What the web does to pictures: the table of robustness in the same report.",
            "- Whether the word matters: margins with a zero word and with random ones.",
            "- The time of a picture on the computers that it is meant for.",
            "",
        ]


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _counted(names: Iterable[str]) -> str:
    """Returns each name with how often it occurs, the most frequent first."""
    counts = Counter(name or "not named" for name in names)
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())
