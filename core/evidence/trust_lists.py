"""The lists of signers that are known, as this release ships them. They are never fetched.

The names of the files hold the day whose state they are; the NOTICE beside them says whose they
are, under which terms, and how they are renewed.
"""

import re
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

KNOWN, INTERIM, TIMESTAMPS = "antifake:known", "antifake:interim", "antifake:timestamps"
"""How the library names the list that a signer was found in."""
OLD_AFTER_DAYS = 400
_FOLDER = Path(__file__).parent / "trust"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@cache
def dates() -> tuple[str, ...]:
    """Returns the days, ISO 8601, whose state the shipped lists are, the oldest first."""
    return tuple(sorted({_DATE.findall(path.name)[-1] for path in _FOLDER.glob("*.pem")}))


def is_old(day: str) -> bool:
    """Returns whether a list of this day may lack signers that are known by now."""
    return (datetime.now(UTC).date() - date.fromisoformat(day)).days > OLD_AFTER_DAYS


def settings(known: str = "", interim: str = "") -> dict[str, Any]:
    """Returns what c2pa's settings call `trust`: the shipped lists and more certificates in PEM.

    `known` are as good as those of the shipped list; `interim` make a signer `known_interim`.
    """
    seen: set[str] = set()
    anchors = []
    for name, kind, pem in (
        (KNOWN, "manifest", _shipped("signers") + known),
        (INTERIM, "manifest", interim),
        (TIMESTAMPS, "tsa", _shipped("timestamps")),
    ):
        # Each certificate is in one list only: of two the library names either, by chance, and it
        # takes a list of any kind for signers and for timestamps alike.
        fresh = [one for one in _CERTIFICATE.findall(pem) if one not in seen]
        seen.update(fresh)
        if fresh:
            anchors.append(
                {"trust_uri": name, "trust_kind": kind, "trust_anchors": "\n".join(fresh)}
            )
    return {"anchors": anchors}


def _shipped(name: str) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(_FOLDER.glob(f"*-{name}-*.pem")))
