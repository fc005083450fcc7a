"""What a walk over a data set has seen, as tables and lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from rich.markup import escape
from rich.table import Table

from autosegloss.data.check.checks import SplitReport
from autosegloss.data.datasets.source import Source


def splits_table(reports: Sequence[SplitReport], source: Source) -> Table:
    """A row per split: how many samples, how large, which labels, how much is ignored, how much is wrong."""
    table = Table(title=f"{type(source).__name__}: splits")
    for column in ("split", "samples", "expected", "read", "size HxW", "labels", "ignored %", "faults"):
        table.add_column(column, justify="left" if column in ("split", "size HxW", "labels") else "right")
    for report in reports:
        table.add_row(
            report.split,
            str(report.available),
            "" if report.expected is None else str(report.expected),
            str(len(report.seen)),
            _extremes(report.sizes),
            ", ".join(ranges(report.labels)),
            _percent(report.ignored(source.ignore_index)),
            str(len(report.faults)),
            style="red" if report.faults else None,
        )
    return table


def classes_table(reports: Sequence[SplitReport], source: Source) -> Table:
    """A row per class: its share of the pixels that are not ignored, and of the images, in each split."""
    reports = [report for report in reports if report.seen]
    table = Table(title="classes, in percent of the pixels that count and of the images")
    table.add_column("", justify="right")
    table.add_column("class")
    for report in reports:
        for what in ("pixels", "images"):
            table.add_column(f"{report.split} {what}", justify="right")
    columns = [column for report in reports for column in report.shares(source)]
    for index, name in enumerate(source.class_names):
        table.add_row(str(index), escape(name), *(_percent(column[index]) for column in columns))
    return table


def notes(reports: Sequence[SplitReport], source: Source) -> Iterator[str]:
    """What is no fault but should be known: a part of a data set, classes without a pixel."""
    for report in reports:
        if report.expected not in (None, report.available):
            yield f"{report.split} counts {report.available}, the whole data set {report.expected}"
        pixels, _ = report.shares(source)
        if report.sizes and (never := [source.class_names[i] for i in np.flatnonzero(pixels == 0)]):
            where = report.split if len(report.seen) == report.available else f"what was read of {report.split}"
            yield f"no pixel in {where} of: {', '.join(never)}"


def faults(reports: Sequence[SplitReport]) -> list[str]:
    """Everything that is wrong, one line each."""
    found = [f"{report.split}: {fault}" for report in reports for fault in report.faults]
    return found if any(r.available for r in reports if r.split == "train") else ["train: no samples", *found]


def ranges(numbers: Sequence[int]) -> list[str]:
    """Sorted numbers with neighbours drawn together: [0, 1, 2, 255] as ["0-2", "255"]."""
    breaks = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), start=1) if b > a + 1), len(numbers)]
    runs = [numbers[start:stop] for start, stop in pairwise(breaks) if start < stop]
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _extremes(sizes: Sequence[tuple[int, int]]) -> str:
    """The smallest and the largest of sizes sorted by area, as HxW."""
    shown = [f"{height}x{width}" for height, width in sizes]
    return shown[0] if len(shown) == 1 else " .. ".join([*shown[:1], *shown[-1:]])


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f}"
