"""The detector: pictures in, verdicts out.

It knows nothing of the other packages: no HTTP server, no database, no config file. Importing
this package imports no torch.

Shapes, here and wherever core and trainer hold tensors:

    B  images in a batch          P  learned tokens in the prompt (1 in the paper)
    T  tokens in the text         Q  query tokens of the Q-Former
    N  patches and the CLS token  H  width of the embedding table at hand
"""

import os
from typing import Any

from .errors import AntifakeError
from .verdict import Label, Verdict

__all__ = ["AntifakeError", "Detector", "Label", "Verdict", "load_detector"]

# Torch's threads wait for each other asleep, not spinning. On a busy computer a verdict then takes
# a third of the time, on an idle one the same. Torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """Imports Detector and load_detector at their first use, as they import torch."""
    if name in ("Detector", "load_detector"):
        from . import detector  # noqa: PLC0415

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
