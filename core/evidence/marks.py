"""Finds the marks that generators leave in a picture's container: recipes, labels and names.

Only fields that machines write are asked, never captions, artists, copyright or keywords: there
people write of Midjourney what they like. Rows of the tables are data: a new generator is a row.
A mark can be copied onto any picture and removed from any, so one that is found is a statement of
the file, and one that is not found says nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Literal

from . import recipes

if TYPE_CHECKING:
    from .containers import Container

Kind = Literal["recipe", "declared", "declared_part", "suspected", "named"]
"""What a mark is: how the picture was made, step by step; a label for AI, for parts of it, or
for a suspicion of it; the name of a generator where programs write theirs."""

MOST_MARKS = 8
_LONGEST_QUOTE = 80
LONGEST_PLACE = 40
_STRENGTH: dict[Kind, int] = {
    "recipe": 0, "declared": 1, "declared_part": 2, "suspected": 3, "named": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """One mark. Nothing of a prompt is ever in it."""

    maker: str
    """Who writes such marks: a key of `MAKERS`."""
    kind: Kind
    place: str
    """Where it was found, such as "PNG parameters"; at most 40 characters."""
    quote: str = ""
    """The words of a label or a name, inert, at most 80 characters; empty for a recipe."""


@dataclass(frozen=True)
class Camera:
    """The camera that a file names. Anyone can write that, so it never counts."""

    make: str
    model: str


MAKERS = {
    "webui": "Stable Diffusion",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "fooocus": "Fooocus",
    "swarmui": "SwarmUI",
    "novelai": "NovelAI",
    "draw_things": "Draw Things",
    "midjourney": "Midjourney",
    "iptc": "IPTC",
    "aigc": "AIGC",
    "google": "Google AI",
    "ideogram": "Ideogram",
    "firefly": "Adobe Firefly",
    "dalle": "DALL·E",
    "gpt_image": "ChatGPT",
    "flux": "FLUX",
    "leonardo": "Leonardo.Ai",
    "recraft": "Recraft",
    "seedream": "Seedream",
    "designer": "Image Creator",
    "stable_diffusion": "Stable Diffusion",
    "grok": "Grok",
}
"""The names that people know makers by."""

_RECIPES: tuple[tuple[str, tuple[str, ...], Callable[[str], bool]], ...] = (
    ("swarmui", ("PNG parameters", "EXIF UserComment"), recipes.is_swarmui),
    ("webui", ("PNG parameters", "EXIF UserComment", "JPEG comment"), recipes.is_webui),
    (
        "comfyui",
        ("PNG prompt", "PNG workflow", "EXIF Make", "EXIF Model", "EXIF ImageDescription",
         "EXIF UserComment"),
        recipes.is_comfyui,
    ),
    (
        "invokeai",
        ("PNG invokeai_metadata", "PNG sd-metadata", "PNG invokeai_graph"),
        recipes.is_invokeai,
    ),
    ("invokeai", ("PNG Dream",), recipes.is_dream),
    ("novelai", ("PNG Comment", "EXIF UserComment"), recipes.is_novelai),
    ("draw_things", ("EXIF UserComment", "XMP UserComment"), recipes.is_draw_things),
    ("midjourney", ("PNG Description", "EXIF ImageDescription", "XMP description"),
     recipes.is_midjourney),
)  # fmt: skip
"""Maker, places and test, in the order of trying."""

_MACHINE_FIELDS = (
    "EXIF Software", "EXIF Make", "EXIF Model", "PNG Software", "PNG Source", "XMP CreatorTool",
)  # fmt: skip
_NAMES: tuple[tuple[str, str], ...] = (
    ("novelai", r"\bNovelAI\b"),
    ("firefly", r"\bAdobe Firefly\b"),
    ("google", r"\bMade with Google AI\b|\bGoogle (?:Imagen|Gemini)\b|\bNano Banana\b"),
    ("ideogram", r"\bIdeogram\b"),
    ("draw_things", r"\bDraw Things\b"),
    ("midjourney", r"\bMidjourney\b"),
    ("dalle", r"\bDALL[·-]?E\b"),
    ("gpt_image", r"\bgpt-image\b|\bChatGPT\b|\bGPT-4o\b"),
    ("flux", r"\bBlack Forest Labs\b|\bblack-forest-labs\b|\bFLUX[.-]?[12]\b"),
    ("leonardo", r"\bLeonardo\.?AI\b"),
    ("recraft", r"\bRecraft\b"),
    ("seedream", r"\bSeedream\b"),
    ("designer", r"\bImage Creator\b|\bBing Image Creator\b"),
    ("comfyui", r"\bComfyUI\b"),
    ("invokeai", r"\bInvokeAI\b"),
    ("fooocus", r"\bFooocus\b"),
    ("stable_diffusion", r"\bStable Diffusion\b|\bstability\.ai\b"),
)
"""Makers and what they call themselves in a machine's field."""
NAME_PATTERNS = [(maker, re.compile(pattern, re.IGNORECASE)) for maker, pattern in _NAMES]
_CREDITS = {"made with google ai": "google", "edited with google ai": "google"}
_SOURCE_KINDS: dict[str, Kind] = {
    "trainedalgorithmicmedia": "declared",
    "compositewithtrainedalgorithmicmedia": "declared_part",
    "compositesynthetic": "declared_part",
}
"""IPTC's digital source types that name AI. algorithmicMedia, a formula's picture, does not."""
_AIGC_KINDS: dict[str, Kind] = {"1": "declared", "2": "suspected", "3": "suspected"}
"""Labels of China's GB 45438: it is, it possibly is, it is suspected to be."""
_GROK_SIGNATURE = re.compile(r"Signature: [A-Za-z0-9+/=]{40,}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOST_OF_A_PLACE = 8
"""Texts of one place that are asked. Programs write one."""
_EXPOSURE = ("ExposureTime", "FNumber", "ISOSpeedRatings", "MakerNote")


def marks_in(container: "Container") -> list[Mark]:
    """Returns one mark of each maker, its strongest, in the order of strength; at most eight."""
    best: dict[str, Mark] = {}
    for found in _all(container):
        known = best.get(found.maker)
        if known is None or _STRENGTH[found.kind] < _STRENGTH[known.kind]:
            best[found.maker] = found
    return sorted(best.values(), key=lambda one: _STRENGTH[one.kind])[:MOST_MARKS]


def camera_in(container: "Container") -> Camera | None:
    """Returns the camera that EXIF names together with two facts of an exposure."""
    make, model = container.get("EXIF Make"), container.get("EXIF Model")
    facts = sum(container.get(f"EXIF {name}") is not None for name in _EXPOSURE)
    if not make or not model or facts < 2:
        return None
    return Camera(inert(make), inert(model))


def inert(text: str, longest: int = _LONGEST_QUOTE) -> str:
    """Returns the beginning of a text, in which nothing can command a terminal or a page."""
    shown = "".join(one if one.isprintable() and one not in "<>&\"'`" else "\ufffd" for one in text)
    return shown.strip()[:longest]


def _all(container: "Container") -> Iterator[Mark]:
    yield from _recipes(container)
    yield from _declarations(container)
    yield from _names(container)


def _texts(container: "Container", places: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    n_left = dict.fromkeys(places, _MOST_OF_A_PLACE)
    for one in container.fields:
        if n_left.get(one.place):
            n_left[one.place] -= 1
            yield one.place, one.text
    for place in places:
        if place.startswith("XMP "):
            yield from ((place, text) for text in xmp_values(container.xmp, place[4:]))


def _recipes(container: "Container") -> Iterator[Mark]:
    is_fooocus = container.get("PNG fooocus_scheme") is not None
    for maker, places, is_one in _RECIPES:
        for place, text in _texts(container, places):
            if is_one(text):
                yield _mark(
                    "fooocus" if is_fooocus and maker == "webui" else maker, "recipe", place
                )
    for place, text in _texts(container, ("PNG parameters",)):
        if is_fooocus and recipes.is_fooocus(text):
            yield _mark("fooocus", "recipe", place)


def _declarations(container: "Container") -> Iterator[Mark]:
    for text in xmp_values(container.xmp, "DigitalSourceType"):
        source = text.strip().rpartition("/")[2]
        if kind := _SOURCE_KINDS.get(source.lower()):
            yield _mark("iptc", kind, "XMP DigitalSourceType", source)
    for name in ("AISystemUsed", "AISystemVersionUsed"):
        for text in xmp_values(container.xmp, name):
            yield _mark("iptc", "declared", f"XMP {name}", text)
    if any(xmp_values(container.xmp, "AIPromptInformation")):
        yield _mark("iptc", "declared", "XMP AIPromptInformation")
    for place, text in _texts(container, ("PNG AIGC", "XMP AIGC", "EXIF UserComment")):
        found = recipes.as_json(text)
        label = found.get("AIGC", found) if isinstance(found, dict) else None
        number = _label_number(label) if isinstance(label, dict) else ""
        if number in _AIGC_KINDS:
            yield _mark("aigc", _AIGC_KINDS[number], place, f"Label {number}")


def _label_number(label: dict[str, object]) -> str:
    value = label.get("Label", "")
    return str(int(value)) if isinstance(value, float) and 0 <= value < 10 else str(value)[:4]


def _names(container: "Container") -> Iterator[Mark]:
    for place, text in _texts(container, _MACHINE_FIELDS):
        for maker, pattern in NAME_PATTERNS:
            if pattern.search(text[:1_000]):
                yield _mark(maker, "named", place, text)
    for place, text in _texts(container, ("XMP Credit", "IPTC Credit")):
        if credited := _CREDITS.get(text.strip().lower()):
            yield _mark(credited, "named", place, text)
    description, artist = container.get("EXIF ImageDescription"), container.get("EXIF Artist")
    if artist and _UUID.fullmatch(artist.strip()) and _GROK_SIGNATURE.match(description or ""):
        yield _mark("grok", "named", "EXIF ImageDescription", "Signature")


def _mark(maker: str, kind: Kind, place: str, quote: str = "") -> Mark:
    return Mark(maker, kind, inert(place, LONGEST_PLACE), inert(quote))


def xmp_values(xmp: str, name: str) -> Iterator[str]:
    """Yields the values of a property in an XMP packet, by a bounded search instead of a parser.

    An XML parser would follow entities, and packets are often not well-formed.
    """
    for at in islice(re.finditer(rf":{name}(?=[\s=>])", xmp), _MOST_VALUES):
        rest = xmp[at.end() : at.end() + _LONGEST_VALUE]
        if value := next(filter(None, (one.match(rest) for one in _VALUES)), None):
            yield unescape(value[1]).strip()


_MOST_VALUES = 32
_LONGEST_VALUE = 4_400
# Each takes all it can and gives nothing back, so none is tried twice.
_VALUES = [
    re.compile(pattern)
    for pattern in (
        r'\s{0,9}+=\s{0,9}+"([^"<]{1,4000}+)"',
        r"\s{0,9}+=\s{0,9}+'([^'<]{1,4000}+)'",
        r'\s{1,9}+rdf:resource\s{0,9}+=\s{0,9}+"([^"<]{1,4000}+)"',
        r">\s{0,99}+([^<]{1,4000}+)<",
        r">\s{0,99}+<rdf:(?:Alt|Bag|Seq)>\s{0,99}+<rdf:li[^>]{0,99}+>([^<]{1,4000}+)<",
    )
]
