"""What the large model costs on a GPU, each figure beside its floor in the same run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # kit, as pytest has it
