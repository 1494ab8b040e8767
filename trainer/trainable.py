"""The trainable tensors: the two tables of a soft prompt, or LoRA's. All else is frozen."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from antifake.core.errors import AntifakeError, UsageError
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip, Question
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import QUESTION, PromptMetadata

START_STD = 0.02
"""Standard deviation of the official random start."""

POSITIONS = {
    "suffix": QUESTION,
    "prefix": ("", "".join(QUESTION)),
    "replace": (QUESTION[0].removesuffix(" real"), QUESTION[1]),
}
"""Where the soft prompt [*] stands: between the two texts."""

SIDES = {"both": ("qformer", "llm"), "qformer": ("qformer",), "llm": ("llm",)}


@dataclass(frozen=True)
class Shape:
    """The form of the soft prompt. None: that of the prompt it starts from, or the paper's."""

    position: str | None = None
    tokens: int | None = None
    sides: str | None = None


@dataclass(frozen=True)
class Trainable:
    """The tensors that the optimiser changes, and the question that they are part of."""

    tensors: dict[str, Tensor]
    question: Question
    moved_at_once: tuple[str, ...]
    """Names of those that must have a gradient in the first step."""

    @property
    def n_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def copy(self) -> dict[str, Tensor]:
        """Returns copies of the tensors on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.tensors.items()}

    def put(self, values: dict[str, Tensor]) -> None:
        """Sets the tensors to `values`, of the same names and shapes."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(values[name])


def random_start(model: InstructBlip, shape: Shape, like: PromptMetadata, seed: int) -> SoftPrompt:
    """Returns a prompt with rows from N(0, 0.02) for the trained sides, [P, Hq] and [P, Hl].

    Pictures are normalised as in `like`.
    """
    widths = {
        "qformer": model.query_tokens.shape[-1],
        "llm": model.language_projection.out_features,
    }
    random = torch.Generator().manual_seed(seed)
    rows = {}
    for side, width in widths.items():
        learns = side in SIDES[shape.sides or "both"]
        drawn = START_STD * torch.randn(shape.tokens or 1, width, generator=random)
        rows[side] = drawn if learns else torch.zeros(0, width)
    before, after = POSITIONS[shape.position or "suffix"]
    about = PromptMetadata(before=before, after=after, mean=like.mean, std=like.std)
    return SoftPrompt(rows["qformer"], rows["llm"], about)


def warm_start(prompt: SoftPrompt, shape: Shape) -> SoftPrompt:
    """Returns an existing prompt, cut to the trained sides. Raises UsageError."""
    if shape.tokens not in (None, max(len(prompt.qformer), len(prompt.llm))):
        raise UsageError(_("A word that exists keeps its number of tokens: leave out --tokens."))
    keep = SIDES[shape.sides or "both"]
    rows = {
        side: table if side in keep else table[:0]
        for side, table in (("qformer", prompt.qformer), ("llm", prompt.llm))
    }
    if not any(map(len, rows.values())):
        raise UsageError(
            _("The word to start from has nothing on the side {side}.", side=shape.sides)
        )
    before, after = POSITIONS.get(shape.position or "", (prompt.about.before, prompt.about.after))
    about = replace(prompt.about, before=before, after=after)
    return SoftPrompt(rows["qformer"], rows["llm"], about)


def lengthened(prompt: SoftPrompt, tokens: int, seed: int) -> SoftPrompt:
    """Returns the prompt with small random rows after its own, up to `tokens` on either side.

    More rows can tell more kinds of pictures apart. A side without rows stays so.
    """
    random = torch.Generator().manual_seed(seed)
    rows = {}
    for side, table in (("qformer", prompt.qformer), ("llm", prompt.llm)):
        missing = max(0, tokens - len(table)) if len(table) else 0
        drawn = START_STD * torch.randn(missing, table.shape[1], generator=random)
        rows[side] = torch.cat([table, drawn])
    return SoftPrompt(rows["qformer"], rows["llm"], prompt.about)


def trainable_prompt(model: InstructBlip, start: SoftPrompt) -> Trainable:
    """Returns the prompt's tables [P, Hq] and [P, Hl] as leaves with gradients.

    A side without rows is not trained.
    """
    tables = {
        side: table.detach().to(model.device, copy=True).requires_grad_(len(table) > 0)
        for side, table in (("qformer", start.qformer), ("llm", start.llm))
    }
    about = start.about
    question = model.ask(about.before, about.after, tables["qformer"], tables["llm"])
    learning = {side: table for side, table in tables.items() if len(table)}
    return Trainable(learning, question, tuple(learning))


def trained_prompt(values: dict[str, Tensor], start: SoftPrompt) -> SoftPrompt:
    """Returns the prompt with trained tables. A side that is not trained stays empty."""
    return SoftPrompt(
        values.get("qformer", start.qformer), values.get("llm", start.llm), start.about
    )


def tensor_versions(model: nn.Module, trainable: Trainable) -> dict[str, int]:
    """Returns how often each frozen tensor was written to, by torch's own count."""
    ours = {id(tensor) for tensor in trainable.tensors.values()}
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {
        name: tensor._version  # noqa: SLF001 - documented for this use
        for name, tensor in tensors.items()
        if id(tensor) not in ours
    }


def check_frozen(model: nn.Module, trainable: Trainable, before: dict[str, int]) -> None:
    """Raises AntifakeError where a frozen tensor was written to or has a gradient."""
    ours = {id(tensor) for tensor in trainable.tensors.values()}
    changed = [
        name for name, count in tensor_versions(model, trainable).items() if before[name] != count
    ]
    pulled = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and id(parameter) not in ours
    ]
    if found := changed + pulled:
        raise AntifakeError(
            _("The frozen model was about to change ({name}): nothing is kept.", name=found[0])
        )
