"""The commands of core: check, scan, rows, evidence, demo, model, prompt, completion.

Heavy imports (torch, transformers, rich, numpy) stay inside the commands, so that `--help`
answers at once.
"""

from .check import check
from .completion import completion
from .demo import demo
from .evidence import evidence
from .model import model
from .prompt import prompt
from .rows import rows
from .scan import scan

COMMANDS = (check, scan, rows, evidence, demo, model, prompt, completion)
