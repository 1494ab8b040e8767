"""Makes the report from judged pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.trainer.evaluate import Judged

from .comparison import Comparison
from .mistakes import mistakes, name_below, worst
from .page import Contents, render
from .robustness import robustness

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What the report is about."""

    what: str
    """The pictures, in words."""
    roots: Sequence[Path]
    """Names are shown relative to these folders."""
    day: date
    degraded: int = 0
    """The most pictures to degrade and judge again; 0: none."""


def make_page(
    request: Request,
    judged: Sequence[Judged],
    comparison: Comparison,
    judges: tuple[Detector, Decoder],
    progress: Progress,
) -> bytes:
    """Returns the HTML page. `progress` counts the degraded pictures, which take minutes."""
    detector, decoder = judges
    trial = (
        robustness(detector, decoder, comparison, request.degraded, progress)
        if request.degraded
        else None
    )
    accused, missed = (
        mistakes(worst(judged, is_fake=is_fake), decoder, request.roots)
        for is_fake in (False, True)
    )
    failed = [
        (name_below(one.example.path, request.roots), one.row.error)
        for one in judged
        if one.row.error
    ]
    return render(
        Contents(
            what=request.what,
            model=detector.model.manifest.version,
            prompt=detector.prompt_version,
            comparison=comparison,
            failed=failed,
            accused=accused,
            missed=missed,
            robustness=trial,
        ),
        request.day,
    )
