"""What child processes import before everything else."""

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
    """Makes a folder for PYTHONPATH, with which the first import of the model's classes fails."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return folder


def python_path(folder: Path) -> str:
    """Returns a value for PYTHONPATH that puts a folder before those that are named already."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
