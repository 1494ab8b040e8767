"""The commands of the trainer: evaluate, train, calibrate, mini, mini-gpu.

Heavy imports stay inside the commands, so that `--help` answers at once.
"""

from .calibrate import calibrate
from .evaluate import evaluate
from .mini import mini
from .mini_gpu import mini_gpu
from .train import train

COMMANDS = (evaluate, train, calibrate, mini, mini_gpu)
