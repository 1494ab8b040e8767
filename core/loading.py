"""Makes a detector ready: finds the model, fetches `mini` if needed, runs the self-check.

Torch is imported inside the functions only, so that `--help` of a command answers at once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .catalog import MINI, Home, user_home
from .errors import DamagedModelError, ModelError
from .i18n import _
from .load_times import LoadTimes, loading_words
from .terminal import passing_notice, progress_bar, say

if TYPE_CHECKING:
    from .bundle import Bundle
    from .decoder import Decoder, View
    from .detector import Detector
    from .embedded import Progress


@contextmanager
def loaded(
    model: str | None,
    prompt: str | None,
    jobs: int | None = 1,
    view: "View" = "middle",
) -> Iterator[tuple["Detector", "Decoder"]]:
    """Yields a detector and a decoder, both ready. Raises ModelError.

    `model` and `prompt` are names; None stands for the active ones. The decoder starts first, in
    `jobs` processes, while torch is still being imported. None: one beside a processor, which
    needs its cores for the model; beside a graphics card as many as keep it busy.
    """
    from .decoder import Decoder, jobs_beside_gpu

    where = user_home()
    bundle = ensure_model(where, model)
    with Decoder(jobs or 1, bundle.manifest.image_size, view=view) as decoder:
        try:
            detector, warnings = _load(where, bundle, prompt)
        except DamagedModelError as error:
            if bundle.manifest.name != MINI:
                raise
            say(str(error), err="yellow")
            detector, warnings = _load(where, pull_embedded(where), prompt)
        for sentence in warnings:
            say(sentence, err="yellow")
        if jobs is None and detector.model.device.type == "cuda":
            decoder.grow(jobs_beside_gpu())
        yield detector, decoder


def _load(where: Home, bundle: "Bundle", prompt: str | None) -> tuple["Detector", list[str]]:
    """Returns the detector, and warnings. How long it takes is told on a terminal, and kept."""
    times, began = LoadTimes.at(where.root), time.monotonic()
    with passing_notice(loading_words(times.expected_s(bundle.manifest.version))):
        from .detector import detector_of
        from .dtype_benchmark import DtypeBenchmark
        from .precision import use_physical_cores
        from .promptbook import Promptbook
        from .selfcheck import check_if_changed

        use_physical_cores()
        book, benchmark = Promptbook(where.prompts), DtypeBenchmark.at(where.root)
        detector, warning = detector_of(bundle, book, prompt, benchmark=benchmark)
        drift = check_if_changed(detector, where.root / "selfcheck.json")
    times.note(bundle.manifest.version, time.monotonic() - began)
    return detector, [sentence for sentence in (warning, drift) if sentence]


def ensure_model(where: Home, model: str | None) -> "Bundle":
    """Returns the bundle to use; `mini` is fetched or updated if needed. Raises ModelError."""
    name = model or where.active()
    try:
        bundle = where.bundle(name)
    except ModelError as error:
        if name != MINI:
            raise
        if isinstance(error, DamagedModelError):
            say(str(error), err="yellow")
        return pull_embedded(where)
    if name == MINI and is_outdated(bundle):
        say(_("This version of antifake brings a newer mini."))
        return pull_embedded(where)
    return bundle


def is_outdated(bundle: "Bundle") -> bool:
    """Returns whether this version of antifake contains another `mini`."""
    from .embedded import embedded_model

    return not embedded_model().is_in(bundle.manifest)


def pull_embedded(
    where: Home,
    source: Path | None = None,
    *,
    by_pip: bool = False,
    progress: "Progress | None" = None,
) -> "Bundle":
    """Fetches and assembles `mini`, tells the user so, and runs the self-check.

    `source` and `by_pip` are as in TowerSource; without `progress` a terminal shows how far it is.
    Raises ModelError.
    """
    from .embedded import TowerSource, announcement, embedded_model, has_tower, pull_mini

    mine = embedded_model()
    if source is None and not has_tower(where, mine):
        say(announcement())
    expected = mine.samples
    old = (where.models / MINI).exists()

    def checked(bundle: "Bundle") -> None:
        from .detector import detector_of
        from .dtype_benchmark import DtypeBenchmark
        from .promptbook import Promptbook
        from .selfcheck import SelfCheck, scores, trust

        # With the shipped prompt, as the known scores were.
        benchmark = DtypeBenchmark.at(where.root)
        detector, _warning = detector_of(bundle, Promptbook(bundle.folder), benchmark=benchmark)
        drift = SelfCheck(expected, scores(detector)).drift
        if drift and old:
            raise ModelError(
                _(
                    "The new model fails its self-check ({drift}); the old one was kept.",
                    drift=drift,
                )
            )
        if drift:
            say(
                _("Self-check: scores differ from the known ones ({drift}).", drift=drift),
                err="yellow",
            )
        trust(detector, expected, where.root / "selfcheck.json")

    with progress_bar(_("image tower"), in_bytes=True) as show:
        bundle = pull_mini(where, TowerSource(source, by_pip, progress or show), checked)
    say(_("{version} is ready in {folder}.", version=bundle.manifest.version, folder=bundle.folder))
    return bundle
