"""Learning from the user's corrections: when, by which process, and what its result is used for.

The learning itself is antifake.trainer.personal, in a process of its own. Imports no torch.
"""

from .learning import Learning
from .place import LearningCallbacks, Place
from .results import (
    Budget,
    Comparison,
    Flip,
    LearningState,
    Progress,
    ReviewItem,
    ReviewQueue,
    Version,
)
from .versions import Versions

__all__ = [
    "Budget",
    "Comparison",
    "Flip",
    "Learning",
    "LearningCallbacks",
    "LearningState",
    "Place",
    "Progress",
    "ReviewItem",
    "ReviewQueue",
    "Version",
    "Versions",
]
