"""The results of a check of a data set as tables and lines of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from autosegloss.data.check.checks import SplitReport
from autosegloss.data.datasets.source import Source
from autosegloss.report import TextTable


def splits_table(reports: Sequence[SplitReport], source: Source) -> TextTable:
    """A row per split: the number and sizes of its samples, its labels, its share of ignored pixels, its faults."""
    return TextTable(
        header=["split", "samples", "expected", "read", "size HxW", "labels", "ignored %", "faults"],
        rows=[_split_row(report, source.ignore_index) for report in reports],
        title=f"{type(source).__name__}: splits",
        left=(0, 4, 5),
        row_styles={index: "red" for index, report in enumerate(reports) if report.faulty},
    )


def _split_row(report: SplitReport, ignore_index: int | None) -> list[str]:
    return [
        report.split,
        str(report.available),
        "" if report.expected is None else str(report.expected),
        str(len(report.samples)),
        _size_range(report.sizes),
        ", ".join(ranges(report.labels)),
        _percent(report.ignored_share(ignore_index)),
        str(len(report.faulty)),
    ]


def classes_table(reports: Sequence[SplitReport], source: Source) -> TextTable:
    """A row per class: for each split its share of the valid pixels and the share of images that show it."""
    reports = [report for report in reports if report.samples]
    columns = [share for report in reports for share in report.class_shares(source.num_classes, source.ignore_index)]
    return TextTable(
        header=["", "class", *(f"{report.split} {unit}" for report in reports for unit in ("pixels", "images"))],
        rows=[
            [str(index), name, *(_percent(column[index]) for column in columns)]
            for index, name in enumerate(source.class_names)
        ],
        title="classes, in percent of the pixels that count and of the images",
        left=(1,),
    )


def ranges(numbers: Sequence[int]) -> list[str]:
    """Sorted integers as texts, with consecutive ones joined.

    Example:
        >>> ranges([0, 1, 2, 255])
        ['0-2', '255']
    """
    breaks = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), start=1) if b > a + 1), len(numbers)]
    runs = [numbers[start:stop] for start, stop in pairwise(breaks) if start < stop]
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _size_range(sizes: Sequence[tuple[int, int]]) -> str:
    """The smallest and the largest of the sizes, which are sorted by area, as HxW."""
    texts = [f"{height}x{width}" for height, width in sizes]
    return texts[0] if len(texts) == 1 else " .. ".join([*texts[:1], *texts[-1:]])


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f}"
