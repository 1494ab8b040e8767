"""The commands of the trainer: evaluate, train, calibrate, mini.

Heavy imports stay inside the commands, so that `--help` answers at once.
"""

from .calibrate import calibrate
from .evaluate import evaluate
from .mini import mini
from .train import train

COMMANDS = (evaluate, train, calibrate, mini)
