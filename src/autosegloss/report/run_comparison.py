"""Several runs beside each other: a table, the same as CSV, and a figure of one metric."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from scipy import stats

from autosegloss.errors import InputError, unknown
from autosegloss.files import write_whole
from autosegloss.formulas import PAPER
from autosegloss.report.cell import Cell
from autosegloss.report.comparison import comparison_table
from autosegloss.report.differing import runs_by_name
from autosegloss.report.figures import save
from autosegloss.report.palette import BLUE, GREY
from autosegloss.report.runs import Run
from autosegloss.report.summary import size_note
from autosegloss.report.text_table import TextTable

LEVEL = 0.95
SPLITS = ("val", "test")

Scores = Mapping[str, float]


@dataclass(frozen=True)
class RunComparison:
    """Runs, named by what differs in their settings; those that differ in their seed alone are one row.

    Args:
        rows: {name: runs of different seeds}.
        split: "val" or "test".
        metric: the metric of the figure, marked in the table.
    """

    rows: Mapping[str, Sequence[Run]]
    split: str
    metric: str

    @classmethod
    def of(cls, runs: Sequence[Run], split: str = "val", metric: str | None = None) -> RunComparison:
        """Compare runs; without a `metric` it is that of the runs, or mIoU if they differ in it.

        Raises:
            InputError: there is no run, a run has no scores on the split, or none of this metric.
        """
        if not runs:
            raise InputError("there is no finished run to compare: give folders of train or search, or above these")
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if missing := [run for run in runs if split == "test" and not run.result.test]:
            raise InputError(f"{missing[0]} has no scores on the test split: train it with test=true")
        targets = {run.choices.get("metric") or "miou" for run in runs}
        compared = cls(runs_by_name(runs), split, metric or (targets.pop() if len(targets) == 1 else "miou"))
        if compared.metric not in (known := compared.metrics()):
            raise unknown("metric", compared.metric, known)
        return compared

    def scores(self) -> dict[str, list[Scores]]:
        """{name: the scores of its runs}."""
        of = {"val": lambda run: run.result.scores, "test": lambda run: run.result.test}[self.split]
        return {name: [of(run) for run in runs] for name, runs in self.rows.items()}

    def metrics(self) -> list[str]:
        """All metrics that a run was judged by, those of the paper first."""
        found = {metric: None for runs in self.scores().values() for scores in runs for metric in scores}
        return [*(name for name in PAPER if name in found), *(name for name in found if name not in PAPER)]

    def table(self) -> TextTable:
        """Mean and standard deviation over seeds, in percent."""
        note = size_note({name: [run.result for run in runs] for name, runs in self.rows.items()})
        title = {"val": "Validation", "test": "Test"}[self.split]
        words = {"arrow": "the metric in front", "first": "run"}
        return comparison_table(self.scores(), self.metrics(), self.metric, title, note, **words)

    def csv(self) -> str:
        """A line per row and metric: the number of seeds, mean, standard deviation and interval, in percent."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["run", "metric", "seeds", "mean", "std", "low", "high"])
        for name, runs in self.scores().items():
            for metric in self.metrics():
                cell, percent = Cell.of(scores.get(metric) for scores in runs), _percent(runs, metric)
                if percent:
                    bounds = mean_interval(percent) if len(percent) > 1 else ("", "")
                    writer.writerow([name, metric, cell.count, cell.mean, cell.std, *bounds])
        return stream.getvalue()

    def figure(self) -> Figure:
        """Draw every run as a dot, the mean of each row, and its interval over seeds."""
        rows = self.scores()
        width = 5.2 + 0.07 * max(map(len, rows))
        figure = Figure(figsize=(width, 1.1 + 0.38 * len(rows)), layout="constrained", facecolor="white")
        axes = figure.subplots()
        for place, runs in enumerate(rows.values()):
            percent = _percent(runs, self.metric)
            axes.plot(percent, [place] * len(percent), "o", ms=4, mew=0, color=GREY, alpha=0.7)
            if len(percent) > 1:
                axes.plot(mean_interval(percent), [place, place], "-", color=BLUE, lw=2, solid_capstyle="butt")
            if percent:
                axes.plot(statistics.fmean(percent), place, "D", ms=6, color=BLUE)
        axes.set_yticks(range(len(rows)), list(rows), fontsize=9)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        many = any(len(runs) > 1 for runs in rows.values())
        what = f"mean and {LEVEL:.0%} interval over seeds" if many else "one seed"
        axes.set_xlabel(f"{self.metric} in percent, {self.split} split; {what}", fontsize=9)
        axes.grid(axis="x", color="#e6e6e6", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def write(self, folder: Path) -> None:
        """Write comparison.md, comparison.csv and comparison.png; raises OSError if that cannot be."""
        write_whole(folder / "comparison.md", self.table().markdown())
        write_whole(folder / "comparison.csv", self.csv())
        save(self.figure(), folder / "comparison.png")


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The interval of the mean of two values or more, by Student's t distribution."""
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return mean - half, mean + half


def _percent(runs: Sequence[Scores], metric: str) -> list[float]:
    """The scores of a metric in percent, without those that are missing or nan."""
    found = (run.get(metric) for run in runs)
    return [100 * score for score in found if score is not None and not math.isnan(score)]
