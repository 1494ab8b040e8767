"""Writes the table of docs/pictures.md: how far pictures are from what Chromium shows of them."""

import re
from collections import defaultdict
from pathlib import Path

from kit.picture_cases import FORMATS, PROPERTIES, Case, cases, difference, seen_by_chromium

PAGE = Path(__file__).parents[2] / "docs" / "pictures.md"
_PLACE = re.compile(r"(?<=<!-- table -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def measured(some: list[Case]) -> dict[Case, float]:
    seen = seen_by_chromium(some)
    found = {}
    for case in some:
        pixels = seen[str(case)]
        assert pixels is not None, case
        found[case] = difference(case, pixels)
    return found


def table(differences: dict[Case, float]) -> str:
    """Returns the largest difference of each format by property, with the number of files."""
    cells = defaultdict(list)
    for case, found in differences.items():
        cells[case.kind].append(found)
    lines = [f"| | {' | '.join(PROPERTIES)} |", "|---" * (1 + len(PROPERTIES)) + "|"]
    for format_ in FORMATS:
        rows = (cells.get((format_, one)) for one in PROPERTIES)
        shown = (f"{max(row):.1f} ({len(row)})" if row else "-" for row in rows)
        lines.append(f"| {format_} | {' | '.join(shown)} |")
    return "\n".join(lines)


def in_page() -> str:
    [found] = _PLACE.findall(PAGE.read_text(encoding="utf-8"))
    return str(found)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = table(measured(cases()))
    PAGE.write_text(_PLACE.sub(lambda _: made, page), encoding="utf-8")


if __name__ == "__main__":
    main()
