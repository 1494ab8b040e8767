"""Diagnoses this installation and names the one thing to do first.

    from antifake.daemon.places import unjudged_places

    findings = list(examine(System(unjudged_places())))
    first = first_trouble(findings)

Checks run in causal order: an earlier failure may explain a later one. A check is left out if an
earlier failure makes it impossible.
"""

from .diagnosis import System, examine
from .finding import Finding, first_trouble

__all__ = ["Finding", "System", "examine", "first_trouble"]
