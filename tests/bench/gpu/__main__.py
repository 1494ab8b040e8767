"""python -m tests.bench.gpu: prints one table with the figures of the large model on this GPU.

The weights are random and made on the spot, so nothing has to be downloaded. Every ratio is to
something measured in the same run, in turn. Aims are for one H100; a reduced model (--layers,
--tiny) only shows that every line runs.
"""

import argparse
import platform
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from antifake.core.decoder import jobs_beside_gpu, usable_cores
from antifake.core.instructblip import DTYPES
from antifake.core.precision import Precision, choose

from .clock import say
from .files import files
from .memory import memory
from .model import config_of, skeleton
from .qformer import qformer
from .setting import Bench, Scale
from .table import Table
from .tuning import long_tuning, tuning
from .verdicts import official, verdicts

PARTS = {
    "verdict": verdicts,
    "official": official,
    "tuning": tuning,
    "files": files,
    "memory": memory,
    "qformer": qformer,
    "long": long_tuning,
}
"""The most important parts first, in case the time runs out; memory last, as it drops the model."""
USUAL = ("verdict", "official", "tuning", "files", "memory")
TINY = Scale(files=16, pictures=16, side=256, compared=16, for_s=0.05, long=20)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__)
    parser.add_argument("--only", default=",".join(USUAL), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--long", action="store_true", help="also tune 1000 pictures in earnest")
    parser.add_argument("--out", type=Path, help="write the table as Markdown, too")
    parser.add_argument("--device", help="cuda, cuda:1, cpu; the best for none")
    parser.add_argument("--dtype", choices=DTYPES, help="of the products; the best for none")
    parser.add_argument("--batches", help="such as 1,8,64")
    parser.add_argument("--jobs", type=int, default=jobs_beside_gpu(), help="processes that decode")
    parser.add_argument("--layers", type=int, help="in each part of the model, instead of all")
    parser.add_argument("--tiny", action="store_true", help="narrow, two layers, a few pictures")
    options = parser.parse_args(arguments)
    options.parts = [*options.only.split(","), *(["long"] if options.long else [])]
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"{unknown[0]} is none of {', '.join(PARTS)}.")
    if not (torch.cuda.is_available() or options.device):
        parser.error("There is no graphics card here. To see that it runs: --device cpu --tiny")
    return options


def main(arguments: list[str]) -> int:
    """Returns 0, or 1 if a part failed for a reason other than lack of memory or of a library."""
    options = parsed(arguments)
    config = config_of(2 if options.tiny else options.layers, narrow=options.tiny)
    precision = choose(device=options.device)
    if options.dtype:
        precision = replace(precision, dtype=DTYPES[options.dtype])
    is_whole = not (options.tiny or options.layers)
    table = Table(
        header(config, precision, is_whole=is_whole),
        judges=is_whole and precision.device.type == "cuda",
    )
    bench = Bench(config, precision, scale(options), table)
    table.begin()
    for name in options.parts:
        bench.attempt(name, PARTS[name])
        if options.out:
            options.out.write_text(table.markdown(), encoding="utf-8")
    say("done")
    return int(bench.has_failed)


def scale(options: argparse.Namespace) -> Scale:
    chosen = replace(TINY if options.tiny else Scale(), jobs=options.jobs)
    if options.batches:
        chosen = replace(chosen, batches=tuple(map(int, options.batches.split(","))))
    return chosen


def header(config: dict[str, Any], precision: Precision, *, is_whole: bool) -> list[str]:
    """Returns the machine, versions, commit and model."""
    versions = ", ".join(map(named_version, ("torch", "transformers", "bitsandbytes", "antifake")))
    layers = [
        config[part]["num_hidden_layers"]
        for part in ("vision_config", "qformer_config", "text_config")
    ]
    numbers = sum(parameter.numel() for parameter in skeleton(config).parameters())
    reduced = "" if is_whole else " REDUCED: these figures say nothing of the true size."
    return [
        f"{device_name(precision.device)}; {usable_cores()} cores, {platform.platform()}",
        f"{versions}, CUDA {torch.version.cuda}, Python {platform.python_version()}, {commit()}",
        f"{numbers / 1e9:.3g} billion random numbers, layers {layers}, {precision}.{reduced}",
    ]


def named_version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:  # a checkout need not be installed to be measured
        return f"no {name} installed"


def device_name(place: torch.device) -> str:
    if place.type != "cuda":
        return f"{place.type}, {torch.get_num_threads()} threads"
    about = torch.cuda.get_device_properties(place)
    return f"{about.name}, {about.total_memory / 1e9:.0f} GB"


def commit() -> str:
    """Returns the commit of the checkout, if there is one."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown"
    return f"commit {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
