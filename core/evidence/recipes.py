"""Recognises by their structure the recipes that generators write into their pictures.

Each function is given a text and says whether it is such a recipe. None keeps any of it: a
recipe holds the person's prompt.
"""

import json
import re
from typing import Any

_WEBUI_KEYS = ("Sampler", "CFG scale", "Seed", "Size", "Model")
_LONGEST_LINE = 20_000
_DREAM = re.compile(r"\s-s ?\d{1,5}\b")
_SEED = re.compile(r"\s-S ?\d{1,12}\b")
_JOB = re.compile(r"Job ID: ?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def as_json(text: str) -> Any:
    """Returns a text as JSON, None if it is none. NaN and endless numbers cost nothing."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None


def is_webui(text: str) -> bool:
    """Returns whether the last line is the parameters of Stable Diffusion WebUI and its kin."""
    line = text.strip().rpartition("\n")[2]
    if not line.startswith("Steps: ") or len(line) > _LONGEST_LINE:
        return False
    names = {part.partition(":")[0].strip() for part in line.split(",")}
    return len(names.intersection(_WEBUI_KEYS)) >= 3


def is_comfyui(text: str) -> bool:
    """Returns whether a text is a graph of ComfyUI, as its server or as its page has it."""
    graph = as_json(text.removeprefix("prompt:").removeprefix("workflow:").lstrip())
    if not isinstance(graph, dict):
        return False
    if isinstance(graph.get("nodes"), list) and isinstance(graph.get("links"), list):
        return True
    nodes = [node for node in graph.values() if isinstance(node, dict)]
    return bool(nodes) and all("class_type" in node and "inputs" in node for node in nodes)


def is_invokeai(text: str) -> bool:
    """Returns whether a text is the metadata of InvokeAI, of version 2 on."""
    found = as_json(text)
    return isinstance(found, dict) and bool(
        {"app_version", "positive_prompt", "image", "model", "nodes"} & found.keys()
    )


def is_dream(text: str) -> bool:
    """Returns whether a text is a command of InvokeAI 1, with steps and seed."""
    return len(text) < _LONGEST_LINE and bool(_DREAM.search(text) and _SEED.search(text))


def is_fooocus(text: str) -> bool:
    found = as_json(text)
    return (
        isinstance(found, dict) and "seed" in found and {"steps", "sampler"} & found.keys() != set()
    )


def is_swarmui(text: str) -> bool:
    found = as_json(text)
    return isinstance(found, dict) and isinstance(found.get("sui_image_params"), dict)


def is_novelai(text: str) -> bool:
    found = as_json(text)
    return isinstance(found, dict) and {"uc", "steps"} <= found.keys()


def is_draw_things(text: str) -> bool:
    found = as_json(text)
    return isinstance(found, dict) and {"c", "seed", "steps"} <= found.keys()


def is_midjourney(text: str) -> bool:
    return bool(_JOB.search(text[-_LONGEST_LINE:]))
