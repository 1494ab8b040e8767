"""Asks whether a known hole is in what users install: the packages of antifake and its extras.

Run as a program it fails for each finding that `ACCEPTED` does not name. A machine that cannot
reach the advisories is told so; nothing was audited then, and that is no failure.

    python -m kit.audit [URL]     URL: another service that answers as OSV's does
"""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit.licences import brought_along

COMMAND = Path(sys.executable).with_name("pip-audit")
WITHIN_S = 10
"""How long one question may take."""


@dataclass(frozen=True)
class Accepted:
    """A known hole that is lived with for a while."""

    advisory: str
    """As the report names it, or by one of its other names."""
    package: str
    reason: str
    until: date
    """The day after which it counts again."""


ACCEPTED: tuple[Accepted, ...] = ()


class UnreachableError(Exception):
    """The advisories could not be fetched."""


def requirements() -> list[str]:
    """Returns what is installed of what users get, each with its exact version."""
    return [
        # A local version such as +cpu is unknown to every service.
        f"{name}=={package.version.partition('+')[0]}"
        for name, package in sorted(brought_along().items())
    ]


def report(wanted: Iterable[str], url: str | None = None) -> dict[str, Any]:
    """Returns pip-audit's report as JSON. Raises UnreachableError.

    By OSV and not by the index of packages: pip-audit takes an index that has no advisories, such
    as a mirror, for one that knows of no hole.
    """
    with TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text("\n".join(wanted))
        service = ["--vulnerability-service", "osv", *(["--osv-url", url] if url else [])]
        done = subprocess.run(
            [
                *(COMMAND, "--requirement", pinned, "--disable-pip", "--no-deps"),
                *("--format", "json", "--progress-spinner", "off", "--timeout", str(WITHIN_S)),
                *service,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if not done.stdout.startswith("{"):
        if re.search(r"^requests\.exceptions\.|ServiceError|ConnectionError", done.stderr, re.M):
            raise UnreachableError
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    if skipped := [one["name"] for one in found["dependencies"] if "skip_reason" in one]:
        raise RuntimeError(f"not audited: {', '.join(skipped)}")
    return found


def complaints(found: dict[str, Any], accepted: Iterable[Accepted], today: date) -> Iterator[str]:
    """Yields a sentence for each finding that is not accepted, or no longer."""
    accepted = tuple(accepted)
    for package in found["dependencies"]:
        name = package["name"]
        for hole in package.get("vulns", ()):
            advisories = (hole["id"], *hole.get("aliases", ()))
            one = _accepted(name, advisories, accepted)
            if one is None:
                mended = ", ".join(hole["fix_versions"]) or "no version yet"
                yield (
                    f"{name} {package['version']} has a known hole, "
                    f"{' '.join(advisories)}; it is mended in {mended}."
                )
            elif one.until < today:
                yield f"{one.advisory} in {name} was accepted until {one.until}: {one.reason}"


def _accepted(
    package: str, advisories: Collection[str], accepted: Iterable[Accepted]
) -> Accepted | None:
    return next(
        (one for one in accepted if one.package == package and one.advisory in advisories), None
    )


def main(url: str | None = None) -> int:
    wanted = requirements()
    try:
        found = report(wanted, url)
    except UnreachableError:
        print("audit: the advisories of osv.dev could not be fetched, so nothing was audited.")
        return 0
    said = list(complaints(found, ACCEPTED, datetime.now(UTC).date()))
    for sentence in said:
        print(f"audit: {sentence}")
    if not said:
        print(f"audit: no known hole in {len(wanted)} packages.")
    return bool(said)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
