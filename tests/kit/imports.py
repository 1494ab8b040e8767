"""A transformers that lazy imports do not fit."""

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
    """Returns a folder for PYTHONPATH: with it the first import of the model's classes fails."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return folder
