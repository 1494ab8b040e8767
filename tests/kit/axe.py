"""axe, which finds in a page what keeps people with disabilities from using it."""

import json
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

_SCRIPT = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
# Only what is wrong: describing all that is right would take as long again. Two of these rules are
# off in axe unless asked for: the size of targets (of WCAG 2.2), and that names contain what is
# written on a control (WCAG 2.5.3), as users of speech input say that.
_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
FAULTS = f"""async (where) => {{
  if (!window.axe) {{ {_SCRIPT} }}
  const {{violations}} = await axe.run(where ?? document, {json.dumps(_OPTIONS)});
  return violations.flatMap(({{id, nodes}}) => nodes.map(
    (node) => `${{id}}: ${{node.html}} ${{node.failureSummary}}`));
}}"""
"""A function of JavaScript: what is wrong in a part of the page, or in all of it."""


def axe(page: Page, where: str = "html") -> list[str]:
    """Returns what axe finds wrong in `where`, a CSS selector: rule, element and reason."""
    return list(page.evaluate(FAULTS, where))
