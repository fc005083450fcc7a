"""The folder of an evaluation: scores.json, tables as CSV, figures, and a page with all of it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosegloss.evaluation.bootstrap import Difference, resampled_class_scores, resampled_scores
from autosegloss.evaluation.figures import (
    confusion_figure,
    most_confused,
    reliability_figure,
    worst_figure,
)
from autosegloss.evaluation.judging import names_of
from autosegloss.evaluation.measure import Measured
from autosegloss.files import write_whole
from autosegloss.ranking import LEVEL, Interval, interval
from autosegloss.report import TextTable, html, save

LISTED = 10  # of the worst images, and of the confusions, on the page


@dataclass(frozen=True)
class Evaluation:
    """What was judged, its scores and how far they would vary.

    Args:
        title: of the page.
        about: {name: value} of what was judged, and how.
        measured: the sums of the images.
        counts: the resamples of the images, (draws, n).
        differences: {metric: difference from another run}; empty without one.
    """

    title: str
    about: Mapping[str, Any]
    measured: Measured
    counts: Tensor
    differences: Mapping[str, Difference] = field(default_factory=dict)

    def intervals(self) -> dict[str, Interval]:
        """The interval of each metric."""
        return {f.name: interval(resampled_scores(self.measured, f, self.counts)) for f in self.measured.formulas}

    def write(self, folder: Path) -> TextTable:
        """Write all files into `folder`; returns the table of the scores for the console."""
        measured, names = self.measured, names_of(self.measured.names)
        intervals = self.intervals()
        classes, images = _classes(measured, self.counts), _images(measured, names)
        write_whole(folder / "scores.json", json.dumps(self._record(intervals), indent=1))
        write_whole(folder / "classes.csv", _csv(classes))
        write_whole(folder / "images.csv", _csv(images))
        if measured.confusion is not None:
            write_whole(folder / "confusion.csv", _csv(_confusion(measured.confusion, measured.labels)))
            save(confusion_figure(measured.confusion, measured.labels), folder / "confusion.png")
        if measured.calibration:
            save(reliability_figure(measured.calibration), folder / "reliability.png")
        if measured.worst:
            save(self._worst(names), folder / "worst.png")
        write_whole(folder / "index.html", self._page(intervals, classes, images))
        return self.table(intervals)

    def table(self, intervals: Mapping[str, Interval]) -> TextTable:
        """The scores in percent, with their intervals and their differences from the other run."""
        header = ["metric", "score", f"{LEVEL:.0%} interval"]
        header += [f"less {self.about['other']}", "interval", "below 0"] if self.differences else []
        rows = []
        for name, score in self.measured.scores.items():
            row = [name, _percent(score), _span(intervals[name])]
            if difference := self.differences.get(name):
                below = f"{difference.below_zero:.1%}"
                row += [f"{100 * difference.value:+.1f}", _span(difference.interval), below]
            rows.append(row + [""] * (len(header) - len(row)))
        count = len(self.measured.names)
        caption = f"In percent; {count} images, bootstrap over them with {len(self.counts)} resamples."
        return TextTable(header, rows, title=self.title, caption=caption)

    def _record(self, intervals: Mapping[str, Interval]) -> dict[str, Any]:
        scores = {n: {"score": s, **intervals[n]._asdict()} for n, s in self.measured.scores.items()}
        classes = {f.name: self.measured.class_scores[f.name].tolist() for f in self.measured.class_columns()}
        record = {
            **self.about,
            "images": len(self.measured.names),
            "resamples": len(self.counts),
            "level": LEVEL,
            "scores": scores,
            "class_names": list(self.measured.class_names),
            "class_scores": classes,
            "calibration_error": self.measured.calibration.error if self.measured.calibration else None,
            "differences": {
                n: {"difference": d.value, **d.interval._asdict(), "below_zero": d.below_zero}
                for n, d in self.differences.items()
            },
        }
        return _without_nan(record)

    def _worst(self, names: Sequence[str]) -> Any:
        shown = dict(zip(self.measured.names, names, strict=True))
        titles = [shown[image.name] for image in self.measured.worst]
        return worst_figure(self.measured.worst, titles, self.measured.labels)

    def _page(self, intervals: Mapping[str, Interval], classes: list[list[Any]], images: list[list[Any]]) -> str:
        measured, scores = self.measured, self.table(intervals)
        about = [[name, str(value)] for name, value in self.about.items() if value is not None]
        parts = [html.table(["", ""], about), html.heading("Scores")]
        parts += [html.table(scores.header, scores.rows, bars=[1]), html.sentence(scores.caption)]
        parts += [html.heading("Classes"), html.table(*_texts(classes), bars=range(3, len(classes[0]) - 2))]
        if measured.confusion is not None:
            cells = most_confused(measured.confusion, measured.labels, LISTED)
            parts += [html.heading("Confusion"), html.figure("confusion.png", "confusion matrix")]
            parts += [html.table(["true", "predicted", "pixels"], [[t, p, f"{n:,}"] for t, p, n in cells])]
        if measured.calibration:
            parts += [html.heading("Calibration"), html.figure("reliability.png", "reliability diagram")]
        if measured.worst:
            order = sorted(images[1:], key=lambda row: (math.isnan(row[1]), row[1]))
            parts += [html.heading("Worst images"), html.figure("worst.png", "the worst images")]
            parts += [html.table(*_texts([images[0], *order[:LISTED]]), bars=[1])]
        return html.page(self.title, parts)


def _classes(measured: Measured, counts: Tensor) -> list[list[Any]]:
    """A header and a row per class: its shares of the pixels, its scores, the interval of the first of miou."""
    columns = measured.class_columns()
    of_iou = next((f for f in columns if f.name == "miou"), columns[0])
    drawn = resampled_class_scores(measured, of_iou, counts)
    header = ["class", "share of truth", "share of prediction", *(f.name for f in columns)]
    rows: list[list[Any]] = [[*header, f"{of_iou.name} low", f"{of_iou.name} high"]]
    true, predicted = measured.shares
    for c, name in enumerate(measured.class_names):
        scores = [float(measured.class_scores[f.name][c]) for f in columns]
        rows.append([name, float(true[c]), float(predicted[c]), *scores, *interval(drawn[:, c])])
    return rows


def _confusion(pixels: Tensor, labels: Sequence[str]) -> list[list[Any]]:
    """A header and a row per true label."""
    rows = [[name, *row] for name, row in zip(labels, pixels.tolist(), strict=True)]
    return [["true \\ predicted", *labels], *rows]


def _images(measured: Measured, names: Sequence[str]) -> list[list[Any]]:
    """A header and a row per image: mIoU first, by which the worst are chosen, then the other metrics."""
    metrics = sorted(measured.image_scores, key=lambda name: name != "miou")
    columns = [measured.image_scores[name] for name in metrics]
    rows = [list(row) for row in zip(names, *columns, strict=True)]
    return [["image", *metrics], *rows]


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    """Numbers in full, nothing for nan."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([["" if _is_nan(cell) else cell for cell in row] for row in rows])
    return stream.getvalue()


def _texts(rows: Sequence[Sequence[Any]]) -> tuple[Sequence[str], list[list[str]]]:
    """The header, and the rows with shares and scores in percent."""
    return rows[0], [[cell if isinstance(cell, str) else _percent(cell) for cell in row] for row in rows[1:]]


def _percent(score: float) -> str:
    return "" if math.isnan(score) else f"{100 * score:.1f}"


def _span(bounds: Interval) -> str:
    return "" if math.isnan(bounds.low) else f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _without_nan(value: Any) -> Any:
    """Plain values for JSON, which has no nan: null instead."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if _is_nan(value) else value.item() if isinstance(value, torch.Tensor) else value
