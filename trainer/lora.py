"""LoRA, for comparison with prompt tuning: low-rank additions to the frozen attention.

The result is written in peft's format, which PeftModel reads. Judging does not use it.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from antifake.core.bundle import writing
from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip
from antifake.core.prompt_file import PromptMetadata

from .trainable import Trainable

LORA_TARGETS = (
    r"qformer\..*attention\.attention\.(query|value)"
    r"|language_model\..*\.self_attn\.(q_proj|v_proj)"
    r"|language_model\..*Attention\.(q|v)"
)
"""The projections to queries and values, as in the paper's comparison."""


def trainable_lora(model: InstructBlip, rank: int, seed: int) -> Trainable:
    """Adds LoRA's matrices [rank, in] and [out, rank] to the model; the question has no prompt.

    Raises UsageError where peft is missing or the model is kept in int8 or nf4.
    """
    if model.precision.weights != "plain":
        raise UsageError(_("LoRA needs more memory for this model than this computer has."))
    config = _config(rank)
    from peft import inject_adapter_in_model  # noqa: PLC0415 - an extra

    with torch.random.fork_rng():
        torch.manual_seed(seed)  # peft draws the start from torch's global generator
        inject_adapter_in_model(config, model)
    model.eval()
    tensors = {name: p for name, p in model.named_parameters() if "lora_" in name}
    for tensor in tensors.values():
        tensor.data = tensor.data.float()  # peft takes the model's dtype, and AdamW needs float32
        tensor.requires_grad_(True)
    about = PromptMetadata()
    widths = model.query_tokens.shape[-1], model.language_projection.out_features
    nothing = [torch.zeros(0, width, device=model.device) for width in widths]
    question = model.ask(about.before, about.after, *nothing)
    # Each addition is B @ A, and B is 0 at the start: A has no gradient in the first step.
    return Trainable(dict(tensors), question, tuple(name for name in tensors if "lora_B" in name))


def save_lora(folder: Path, trainable: Trainable, rank: int) -> None:
    """Writes adapter_model.safetensors and adapter_config.json, which PeftModel reads."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        f"base_model.model.{name.replace('.default', '')}": value.contiguous()
        for name, value in trainable.copy().items()
    }
    path = folder / "adapter_model.safetensors"
    with writing(path):
        save_file(state, path, metadata={"format": "pt"})
    config = _config(rank)
    config.inference_mode = True
    config.save_pretrained(folder)


def _config(rank: int) -> Any:
    try:
        from peft import LoraConfig  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(_("LoRA needs peft: pip install 'antifake[lora]'.")) from None
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=LORA_TARGETS, bias="none")
