"""How often the shipped model errs on pictures of one shape, as MODEL_CARD.md has measured it.

Whole pictures are judged, in parts, so a picture's rates are those of pictures that were judged in
such parts. A test compares every figure here with the card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from antifake.core.i18n import _
from antifake.core.parts import WIDE, JudgedPart
from antifake.daemon.store.checks import Check

MODEL, PROMPT = "mini@8e01f710", "shipped@"
"""What the card measures. An earlier `mini` erred at other rates, and so does a prompt learned from
a user's corrections."""
_WIDEST_IN_THREE, _WIDEST_IN_FIVE = 2.5, 4.0
_ALL = 0.99


@dataclass(frozen=True)
class Rates:
    """Of pictures cut to one shape, in percent."""

    n_real: int
    n_made: int
    flagged: float
    """Real ones that were called AI-made."""
    found: float
    """AI-made ones that were called AI-made."""


@dataclass(frozen=True)
class SquareRates(Rates):
    """Of pictures that were judged by one square."""

    real_unsure: float
    made_unsure: float
    missed: float


SQUARE = SquareRates(269, 269, flagged=3, found=56, real_unsure=24, made_unsure=37, missed=7)
WIDER = Rates(205, 61, flagged=0.5, found=39)
"""Wider than 5 : 4, in their own shapes."""
STRIP = Rates(82, 96, flagged=2.4, found=26)
"""4 : 1."""
PAGES = {
    "screenshots": Rates(40, 40, flagged=0, found=42.5),
    "scans": Rates(40, 40, flagged=0, found=42.5),
    "collages": Rates(40, 40, flagged=0, found=40),
}
"""Pages with photographs, where one is AI-made or none is."""


def sentence(check: Check) -> str:
    """Returns what is known of how often a check like this one errs."""
    if check.model != MODEL or not check.prompt.startswith(PROMPT):
        return _("For this model and prompt, this version of antifake knows no error rates.")
    told = _measured(check)
    if told is None:
        return _("How often it errs on pictures of this shape has not been measured.")
    never_seen = _("On kinds of pictures that the model had never seen, it errs more often.")
    return f"{told} {never_seen}"


def _measured(check: Check) -> str | None:
    parts, (shorter, longer) = check.parts or (), sorted((check.width or 0, check.height or 0))
    if any(one.part.frame for one in parts):
        return None
    if _is_page(parts):
        return _of_pages()
    ratio = longer / shorter if shorter else 1.0
    if check.parts is None or ratio <= WIDE:  # an old version judged all by one square
        return _of_squares()
    if ratio <= _WIDEST_IN_THREE:
        return _of_wide()
    return _of_strips() if ratio <= _WIDEST_IN_FIVE else None


def _is_page(parts: Sequence[JudgedPart]) -> bool:
    """Whether pictures on the picture were judged, not only squares along its longer side."""
    boxes = [one.part.box for one in parts]
    return any(max(box.width, box.height) < _ALL for box in boxes)


def _of_squares() -> str:
    return _(
        "Measured on {n} pictures, half of them AI-made, each judged by one square as this one was:"
        " of the real ones, {flagged} % were called AI-made and {real_unsure} % “cannot tell”;"
        " of the AI-made ones, {found} % were found, {made_unsure} % were “cannot tell” and"
        " {missed} % were missed.",
        n=SQUARE.n_real + SQUARE.n_made,
        flagged=SQUARE.flagged,
        real_unsure=SQUARE.real_unsure,
        found=SQUARE.found,
        made_unsure=SQUARE.made_unsure,
        missed=SQUARE.missed,
    )


def _of_wide() -> str:
    return _(
        "Measured on {n} pictures wider or taller than 5 : 4, {made} of them AI-made, each judged"
        " in parts as this one was: of the real ones, {flagged} % were called AI-made; of the"
        " AI-made ones, {found} % were found, and the others were missed or “cannot tell”.",
        n=WIDER.n_real + WIDER.n_made,
        made=WIDER.n_made,
        flagged=WIDER.flagged,
        found=WIDER.found,
    )


def _of_strips() -> str:
    return _(
        "Measured on {n} pictures four times as long as they are wide, {made} of them AI-made, each"
        " judged in parts as this one was: of the real ones, {flagged} % were called AI-made; of"
        " the AI-made ones, {found} % were found, and the others were missed or “cannot tell”.",
        n=STRIP.n_real + STRIP.n_made,
        made=STRIP.n_made,
        flagged=STRIP.flagged,
        found=STRIP.found,
    )


def _of_pages() -> str:
    screenshots, scans, collages = PAGES["screenshots"], PAGES["scans"], PAGES["collages"]
    return _(
        "Measured on screenshots, scans and collages, {n} of each, half of them with an AI-made"
        " picture among photographs: without one, {flagged} % were called AI-made; with one,"
        " {screenshots} % of the screenshots, {scans} % of the scans and {collages} % of the"
        " collages were.",
        n=screenshots.n_real + screenshots.n_made,
        flagged=max(one.flagged for one in PAGES.values()),
        screenshots=screenshots.found,
        scans=scans.found,
        collages=collages.found,
    )
