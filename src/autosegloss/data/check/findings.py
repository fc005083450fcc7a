"""What a check of a data set has found: faults by kind, doubts, and remarks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autosegloss.data.check.checks import SplitReport
from autosegloss.data.datasets.source import Source
from autosegloss.data.palettes import palettes_note
from autosegloss.data.survey import Masks, repeated, repeats_note
from autosegloss.errors import InputError

DARK = 32  # an eighth of the scale


class Finding(NamedTuple):
    """Faults of one kind, a line each."""

    kind: str
    faults: list[str]


def findings(reports: Sequence[SplitReport], source: Source) -> list[Finding]:
    """All faults by kind, the rarest kind first; faults of the whole come before those of single samples."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        for sample in report.faulty:
            by_kind[sample.kind].append(f"{report.split}: {sample.fault}")
    rarest_first = sorted(
        (Finding(*item) for item in by_kind.items()), key=lambda found: (len(found.faults), found.kind)
    )
    return [*_of_the_whole(reports, source), *rarest_first]


def _of_the_whole(reports: Sequence[SplitReport], source: Source) -> Iterator[Finding]:
    if not any(report.available for report in reports if report.split == "train"):
        yield Finding("no training data", ["train: no samples"])
    for masks in _training_masks(reports, source):
        try:
            masks.check()
        except InputError as error:
            yield Finding("nothing to learn", [str(error)])


def warnings(reports: Sequence[SplitReport], source: Source) -> Iterator[str]:
    """Doubts about the whole data set, a sentence each."""
    for masks in _training_masks(reports, source):
        yield from masks.notes()
    brightest = [sample.brightest for report in reports for sample in report.samples if sample.brightest is not None]
    if brightest and max(brightest) <= DARK:
        yield (
            f"images of more than 8 bits are dark, at most {max(brightest):.3g} on the scale 0..255: set "
            "data.source.max_value to the largest value of a file, 1023 for 10 bits, 4095 for 12"
        )
    if note := palettes_note(source, [checked.sample for report in reports for checked in report.samples]):
        yield note
    if pairs := repeated({report.split: [checked.sample for checked in report.samples] for report in reports}):
        yield repeats_note(pairs)


def notes(reports: Sequence[SplitReport], source: Source) -> Iterator[str]:
    """Remarks: what the reader takes for granted, an incomplete data set, classes that a split to judge on lacks."""
    yield from source.assumptions()
    exclusive = all(report.exclusive for report in reports)
    if exclusive and source.ignore_index is not None and source.ignore_index < source.num_classes:
        name = source.class_names[source.ignore_index]
        yield f"class {source.ignore_index} ({name}) is ignore_index: it counts nowhere"
    for report in reports:
        if report.expected not in (None, report.available):
            yield f"{report.split} counts {report.available}, the whole data set {report.expected}"
        pixels, _ = report.class_shares(source.num_classes, source.ignore_index)
        absent = [source.class_names[index] for index in np.flatnonzero(pixels == 0)]
        if report.split != "train" and report.sizes and absent:
            complete = len(report.samples) == report.available
            where = report.split if complete else f"what was read of {report.split}"
            yield f"no pixel in {where} of: {', '.join(absent)}"


def _training_masks(reports: Sequence[SplitReport], source: Source) -> list[Masks]:
    """The content of the masks of the training split, if any was read."""
    return [
        Masks(
            report.counts,
            source.class_names,
            source.ignore_index,
            len(report.counts) + report.unread,
            report.exclusive,
        )
        for report in reports
        if report.split == "train" and len(report.counts)
    ]
