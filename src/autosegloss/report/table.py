"""The comparison of losses as a table: rows are losses, columns the metrics they are judged by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.table import Table

Row = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation over the seeds, in [0, 1]; `std` is None with one seed."""

    mean: float
    std: float | None
    best: bool = False

    @property
    def percent(self) -> str:
        """The mean as it is printed."""
        return f"{100 * self.mean:.1f}"

    def __str__(self) -> str:
        return self.percent if self.std is None else f"{self.percent} ± {100 * self.std:.1f}"


@dataclass(frozen=True)
class ComparisonTable:
    """Cells by loss and metric, None where nothing was measured; `markdown()` and `rich()` draw the same."""

    metrics: tuple[str, ...]
    target: str
    cells: Mapping[str, Mapping[str, Cell | None]]
    caption: str

    def header(self) -> list[str]:
        """The titles of the columns; the searched metric wears an arrow."""
        return ["loss", *(f"→ {name}" if name == self.target else name for name in self.metrics)]

    def markdown(self) -> str:
        """The table as GitHub draws it, the best of a column in bold, the caption below."""
        lines = [self.header(), ["---", *["---:"] * len(self.metrics)]]
        for loss, cells in self.cells.items():
            lines.append([_escape(loss), *(_marked(cells[name], "**", "**") for name in self.metrics)])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{self.caption}\n"

    def rich(self, title: str | None = None) -> Table:
        """The table for a terminal, the best of a column in bold."""
        table = Table(title=title, caption=self.caption, caption_justify="left")
        for number, title in enumerate(self.header()):
            marked = number > 0 and self.metrics[number - 1] == self.target
            table.add_column(title, justify="right" if number else "left", style="cyan" if marked else None)
        for loss, cells in self.cells.items():
            table.add_row(loss.replace("[", r"\["), *(_marked(cells[m], "[bold]", "[/bold]") for m in self.metrics))
        return table


def comparison_table(rows: Mapping[str, Row], metrics: Sequence[str], target: str) -> ComparisonTable:
    """Average rows {loss: one {metric: value in [0, 1]} per seed}; `target` is the searched metric.

    A value that is missing or nan in all seeds of a loss leaves its cell empty.
    """
    cells = {loss: {metric: _cell(seeds, metric) for metric in metrics} for loss, seeds in rows.items()}
    for metric in metrics:
        # by the printed digits: of two cells that read the same, both are the best
        best = max((float(row[metric].percent) for row in cells.values() if row[metric]), default=None)
        for row in cells.values():
            if row[metric] and float(row[metric].percent) == best:
                row[metric] = replace(row[metric], best=True)
    return ComparisonTable(tuple(metrics), target, cells, _caption(rows))


def _cell(seeds: Row, metric: str) -> Cell | None:
    values = [seed[metric] for seed in seeds if metric in seed and not math.isnan(seed[metric])]
    if not values:
        return None
    return Cell(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _caption(rows: Mapping[str, Row]) -> str:
    counts = [len(seeds) for seeds in rows.values()] or [0]
    low, high = min(counts), max(counts)
    seeds = f"{low} seed{'s' * (low != 1)}" if low == high else f"{low} to {high} seeds"
    spread = "mean ± standard deviation over " if high > 1 else ""
    return f"In percent, {spread}{seeds}; → the searched metric, bold the best of a column."


def _marked(cell: Cell | None, start: str, end: str) -> str:
    if cell is None:
        return ""
    return f"{start}{cell}{end}" if cell.best else str(cell)


def _escape(text: str) -> str:
    return text.replace("|", r"\|")
