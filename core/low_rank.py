"""Low-rank updates (LoRA) of the image tower's int8 matrices.

The tower is the published one; what this project changed in it is small and comes with the
package. When the model is put together, both become one int8 matrix again, so that nothing runs
slower. For a matrix W [out, in] the file has, for each of r directions, a row of `W.up` [r, out]
and of `W.down` [r, in], in int8 with a scale a row. Imports no torch.
"""

from pathlib import Path

import numpy as np

from .errors import ModelError

Arrays = dict[str, np.ndarray]
UP, DOWN, SCALE = ".up", ".down", ".scale"


def read_updates(path: Path) -> Arrays:
    """Returns the arrays of an update file. Raises ModelError."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError("This installation lacks its embedded model: install it again.") from error


def updated(tensors: Arrays, updates: Arrays) -> Arrays:
    """Returns the tower's tensors with the updates in its matrices. Raises ModelError.

    The sums are in float64: then every machine rounds to the same codes.
    """
    found = dict(tensors)
    for key in updates:
        if not key.endswith(UP):
            continue
        name = key.removesuffix(UP)
        if name not in tensors or name + SCALE not in tensors:
            raise ModelError(f"The update of the image tower fits another one: no {name}.")
        before = rows(tensors, name)
        after = before + rows(updates, name + UP).T @ rows(updates, name + DOWN)
        found |= rounded(name, after)
    return found


def rows(arrays: Arrays, name: str) -> np.ndarray:
    """Returns int8 codes [n, m] times their scales [n], in float64."""
    return arrays[name].astype(np.float64) * arrays[name + SCALE].astype(np.float64)[:, None]


def rounded(name: str, matrix: np.ndarray) -> Arrays:
    """Returns a matrix [n, m] as int8 codes and a scale for each row."""
    scale = np.maximum(np.abs(matrix).max(axis=1), 1e-12) / 127
    codes = np.rint(matrix / scale[:, None]).astype(np.int8)
    return {name: codes, name + SCALE: scale.astype(np.float32)}
