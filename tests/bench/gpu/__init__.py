"""Measures the large model on a GPU, each figure beside its floor of the same run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for kit, as pytest does
