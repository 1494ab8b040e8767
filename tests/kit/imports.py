"""Sets what child processes import first."""

import os
from pathlib import Path

SITECUSTOMIZE = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.endswith("modeling_instructblip"):
            sys.meta_path.remove(self)
            raise TypeError("made for this test")
        return None

sys.meta_path.insert(0, Refusal())
"""


def unfitting_transformers(folder: Path) -> Path:
    """Returns a folder for PYTHONPATH that makes the first import of the model's classes fail."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return folder


def python_path(folder: Path) -> str:
    """Returns a value for PYTHONPATH that puts a folder before the present ones."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
