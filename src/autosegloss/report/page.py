"""A page of tables, ours beside those of the authors' release, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of `count` values in percent; `release` is the authors' value, if known."""

    count: int = 0
    mean: float | None = None
    std: float | None = None
    release: float | None = None

    @classmethod
    def of(cls, values: Iterable[float | None], release: float | None = None) -> Cell:
        """The cell of values in [0, 1], those that are None or nan left out; `release` is in percent."""
        percent = [100 * value for value in values if value is not None and not math.isnan(value)]
        mean = statistics.fmean(percent) if percent else None
        return cls(len(percent), mean, statistics.stdev(percent) if len(percent) > 1 else None, release)

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.2f}"
        return "" if self.mean is None else f"{self.mean:.2f}{spread}"


@dataclass(frozen=True)
class Page:
    """Sections of rows of cells; the columns `released` have the release's numbers beside them, given or not."""

    title: str
    columns: Sequence[str]
    released: Sequence[str]
    sections: Mapping[str, Mapping[str, Mapping[str, Cell]]]
    notes: Sequence[str]

    def markdown(self) -> str:
        """The page for a terminal and for GitHub: columns are padded to one width."""
        parts = [f"# {self.title}"]
        for name, rows in self.sections.items():
            lines = [self._header(), *(self._line(label, cells) for label, cells in rows.items())]
            parts.append(f"## {name}\n\n{_aligned(lines)}")
        parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts).rstrip() + "\n"

    def csv(self) -> str:
        """A line a cell: section, row, column, n, ours and its standard deviation, the release's; in percent."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["section", "row", "column", "n", "ours", "std", "release"])
        for section, rows in self.sections.items():
            for label, cells in rows.items():
                for column in self.columns:
                    cell = cells[column]
                    numbers = (_digits(number, 4) for number in (cell.mean, cell.std, cell.release))
                    writer.writerow([section, label, column, cell.count, *numbers])
        return stream.getvalue()

    def _header(self) -> list[str]:
        header = ["", "n"]
        for name in self.columns:
            header += [name, "release"] if name in self.released else [name]
        return header

    def _line(self, label: str, cells: Mapping[str, Cell]) -> list[str]:
        counts = {cell.count for cell in cells.values()}
        line = [label, "-".join(map(str, sorted({min(counts), max(counts)})))]
        for name in self.columns:
            line += [str(cells[name]), *([_digits(cells[name].release, 2)] if name in self.released else [])]
        return line


def _digits(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as a Markdown table: the first column to the left, the others to the right."""
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    widths = [max(4, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(_padded(line, widths))} |" for line in [cells[0], rule, *cells[1:]])


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
