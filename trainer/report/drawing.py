"""Turns matplotlib figures into inline SVG in the colours of the page.

Figures are drawn in placeholder colours, which are replaced by the page's CSS variables. So one
drawing works in light mode, in dark mode and on paper.
"""

import io
import re
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

MEANINGS = ("ink", "rule", "paper", "ours", "blind", "real", "made", "band")
COLOUR = {name: f"#0101{number:02x}" for number, name in enumerate(MEANINGS, start=1)}
"""Placeholders that no other part of a figure uses. Not black, which matplotlib omits."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "antifake",  # otherwise ids are random
    "font.size": 9,
    "font.family": "DejaVu Sans",  # shipped with matplotlib, so the same everywhere
    "text.color": COLOUR["ink"],
    "axes.edgecolor": COLOUR["rule"],
    "axes.labelcolor": COLOUR["ink"],
    "axes.facecolor": "none",
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["rule"],
    "grid.linewidth": 0.5,
    "xtick.color": COLOUR["rule"],
    "xtick.labelcolor": COLOUR["ink"],
    "ytick.color": COLOUR["rule"],
    "ytick.labelcolor": COLOUR["ink"],
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "none",
}
FONT = "font-family: system-ui, 'DejaVu Sans', 'Segoe UI', Arial, sans-serif"


def new_figure(height: float = 3.4) -> Figure:
    """Returns a figure as wide as a phone's page, `height` in inches. Draw in it within `STYLE`."""
    return Figure(figsize=(4.8, height), layout="constrained")


def inline_svg(figure: Figure, key: str, title: str) -> Markup:
    """Returns the figure as an <svg> element. `key` makes its ids unique on the page."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=no_metadata)
    svg = buffer.getvalue()
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{key}-', body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{key}-', body).replace("url(#", f"url(#{key}-")
    body = re.sub(r"font-family: [^;\"]*", FONT, body)
    for name, colour in COLOUR.items():
        body = body.replace(colour, f"var(--{name})")
    width, height = 72 * figure.get_size_inches()
    # Title and ids are escaped. matplotlib wrote the rest, from numbers and our own texts.
    head = Markup(
        '<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-labelledby="{}-title">'
        '<title id="{}-title">{}</title>'
    ).format(width, height, key, key, title)
    return head + Markup(body)  # noqa: S704
