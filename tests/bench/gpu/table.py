"""One table of everything that was measured, printed as it grows and once more as Markdown."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Aim:
    """What the ratio should be."""

    at_most: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        return f"<= {self.at_most:.3g}" if self.at_most is not None else f">= {self.at_least:.3g}"

    def is_met(self, ratio: float) -> bool:
        low = 0.0 if self.at_least is None else self.at_least
        return low <= ratio and (self.at_most is None or ratio <= self.at_most)


@dataclass(frozen=True)
class Line:
    what: str
    measured: str
    """A figure with its unit, or a sentence about why there is none."""
    ratio: float | None = None
    beside: str = ""
    """The floor, or whatever else the ratio refers to, with its own figure."""
    aim: Aim | None = None

    @property
    def times(self) -> str:
        return "" if self.ratio is None else f"{self.ratio:.2f} x"


@dataclass
class Table:
    """A header with machine and model, then a line for each figure."""

    header: list[str]
    judges: bool = True
    """Whether the aims apply to what is measured."""
    lines: list[Line] = field(default_factory=list)

    def begin(self) -> None:
        print(*self.header, "", sep="\n", flush=True)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        left = f"{line.what:<38}{line.measured:>26}  {line.times:>9}"
        print(f"{left} {line.beside:<62}{self.verdict(line)}".rstrip(), flush=True)

    def verdict(self, line: Line) -> str:
        if line.aim is None or line.ratio is None:
            return ""
        met = "met" if line.aim.is_met(line.ratio) else "missed"
        return f"{line.aim} {met}" if self.judges else str(line.aim)

    def ms(
        self,
        what: str,
        took_s: float,
        beside: str,
        beside_s: float,
        aim: Aim | None = None,
        *,
        pictures: int = 0,
    ) -> None:
        """Adds seconds beside those of a floor, and the rate if they are for `pictures`."""
        measured = f"{1000 * took_s:.2f} ms"
        measured += f", {pictures / took_s:.4g}/s" if pictures else ""
        beside = f"{beside}: {1000 * beside_s:.2f} ms"
        self.add(Line(what, measured, took_s / beside_s, beside, aim))

    def markdown(self) -> str:
        cells = [("what", "measured", "ratio", "beside", "aim"), ("---",) * 5]
        cells += [
            (line.what.strip(), line.measured, line.times, line.beside, self.verdict(line))
            for line in self.lines
        ]
        rows = [f"| {' | '.join(row)} |" for row in cells]
        return "\n".join([*self.header, "", *rows, ""])
