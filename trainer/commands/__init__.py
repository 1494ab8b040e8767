"""The commands of the trainer: evaluate, benchmark, train, calibrate, mini, mini-gpu.

Heavy imports stay inside the commands, so that `--help` answers at once.
"""

from .benchmark import benchmark
from .calibrate import calibrate
from .evaluate import evaluate
from .mini import mini
from .mini_gpu import mini_gpu
from .train import train

COMMANDS = (evaluate, benchmark, train, calibrate, mini, mini_gpu)
