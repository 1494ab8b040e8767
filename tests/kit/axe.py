"""axe, which finds in a page what keeps people with disabilities from using it."""

from pathlib import Path

import axe_playwright_python

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
"""Its script. It defines `axe`."""
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
"""For `axe.run`. Only what is wrong: describing all that is right would take as long again.

Two rules are off in axe unless asked for: the size of targets (of WCAG 2.2), and that names
contain what is written on a control (WCAG 2.5.3), as users of speech input say that.
"""
