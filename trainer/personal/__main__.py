"""`python -m antifake.trainer.personal REQUEST.json`: one retraining, as the daemon starts it.

Lines of JSON on standard output: {"stage", "done", "total"} on the way, {"error"} with a sentence
and exit status 1 where it fails. It ends with 0 once OUT/report.json is there. Killed at any time,
it leaves at most a file that was not finished.
"""

import json
import sys
from pathlib import Path

from antifake.core.errors import AntifakeError


def main(path: Path) -> int:
    """Returns the exit status."""
    try:
        from .request import Request  # noqa: PLC0415 - reads it before torch is imported

        request = Request.read(path)
        from .retraining import retrain  # noqa: PLC0415

        retrain(request, _tell)
    except (AntifakeError, OSError) as error:
        _say({"error": str(error)})
        return 1
    return 0


def _tell(stage: str, done: int, total: int) -> None:
    _say({"stage": stage, "done": done, "total": total})


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
