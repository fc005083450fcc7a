"""The comparison of losses at the end of a search: a row per loss, a column per metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autosegloss.report.cell import Cell
from autosegloss.report.text_table import TextTable

DIGITS = 1  # after the point of a percentage


def comparison_table(
    rows: Mapping[str, Sequence[Mapping[str, float]]],
    metrics: Sequence[str],
    target: str,
    title: str = "",
    note: str = "",
    arrow: str = "the searched metric",
    first: str = "loss",
) -> TextTable:
    """Average the scores of every loss over its seeds; the best of a column is bold.

    Args:
        rows: {loss: for each seed the scores {metric: value in [0, 1]}}; missing values and nan count as absent.
        metrics: the columns.
        target: the metric that an arrow marks.
        title: the line above the table.
        note: a sentence below the table.
        arrow: what the arrow means.
        first: the title of the first column.

    Returns:
        A table in percent; a cell is empty where all seeds of a loss lack the metric.

    Example:
        >>> print(comparison_table({"dice": [{"miou": 0.5}]}, ["miou"], "miou").markdown())
        | loss |   → miou |
        | ---- | -------: |
        | dice | **50.0** |
        <BLANKLINE>
        In percent, 1 seed; → the searched metric, bold the best of a column.
        <BLANKLINE>
    """
    cells = [[Cell.of(seed.get(metric) for seed in seeds) for metric in metrics] for seeds in rows.values()]
    return TextTable(
        header=[first, *(f"→ {name}" if name == target else name for name in metrics)],
        rows=[[loss, *(cell.text(DIGITS) for cell in row)] for loss, row in zip(rows, cells, strict=True)],
        title=title,
        caption=_caption([len(seeds) for seeds in rows.values()] or [0], arrow) + (note and f" {note}"),
        bold=set(_best(cells)),
        column_styles={column: "cyan" for column, name in enumerate(metrics, start=1) if name == target},
    )


def _best(cells: Sequence[Sequence[Cell]]) -> Iterator[tuple[int, int]]:
    """(row, column) in the table of the highest mean of each metric; means that print the same are all the best."""
    for column, column_cells in enumerate(zip(*cells, strict=True), start=1):
        printed = {row: round(cell.mean, DIGITS) for row, cell in enumerate(column_cells) if cell.mean is not None}
        best = max(printed.values(), default=None)
        yield from ((row, column) for row, mean in printed.items() if mean == best)


def _caption(seed_counts: Sequence[int], arrow: str) -> str:
    low, high = min(seed_counts), max(seed_counts)
    seeds = f"{low} seed{'s' * (low != 1)}" if low == high else f"{low} to {high} seeds"
    spread = "mean ± standard deviation over " if high > 1 else ""
    return f"In percent, {spread}{seeds}; → {arrow}, bold the best of a column."
