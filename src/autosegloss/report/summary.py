"""The files that a finished search leaves for its user: two figures and the comparison of losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from autosegloss.curves import Curve
from autosegloss.files import write_whole
from autosegloss.formulas import PAPER
from autosegloss.report.comparison import comparison_table
from autosegloss.report.figures import curves_figure, save, search_figure
from autosegloss.report.text_table import TextTable
from autosegloss.search import History
from autosegloss.theta_card import ThetaCard
from autosegloss.training.outcome import Result


def write_figures(directory: Path, history: History, card: ThetaCard) -> None:
    """Write search.png, the scores of all trials, and curves.png, the curves of the card, into `directory`."""
    save(search_figure(history, card.metric.name), directory / "search.png")
    save(card_figure(card), directory / "curves.png")


def card_figure(card: ThetaCard) -> Figure:
    """Draw the curves of a theta card, one panel per logical operation, with the control points of the first curve.

    Example:
        >>> len(card_figure(ThetaCard.load("miou")).axes)  # one panel for AND, one for OR
        2
    """
    y = torch.linspace(0, 1, 501, dtype=torch.float64)
    panels, inner_points = {}, {}
    for operation, rows in card.control_points.items():
        labels = ("found",) if len(rows) == 1 else ("first operand", "second operand")
        panels[operation] = {
            label: (y.numpy(), Curve(card.curve, points)(y).numpy()) for label, points in zip(labels, rows, strict=True)
        }
        inner_points[operation] = np.asarray(rows[0, 1:-1])
    return curves_figure(panels, inner_points)


def write_tables(directory: Path, rows: Mapping[str, Sequence[Result]], target: str) -> list[TextTable]:
    """Write comparison.md, the scores of losses on the validation and, if measured, the test images.

    Args:
        directory: the folder of the search.
        rows: {loss: a result per seed}.
        target: the searched metric; it has a column besides the six metrics of the paper.

    Returns:
        One table per split, for the console; no file is written if there is no result at all.
    """
    metrics = [*PAPER, *([] if target in PAPER else [target])]
    splits = {
        "Validation": {loss: [run.scores for run in runs] for loss, runs in rows.items()},
        "Test": {loss: [run.test for run in runs if run.test] for loss, runs in rows.items()},
    }
    tables = [
        comparison_table(scores, metrics, target, title=split, note=size_note(rows))
        for split, scores in splits.items()
        if any(scores.values())
    ]
    if tables:
        write_whole(directory / "comparison.md", "\n".join(table.markdown() for table in tables))
    return tables


def size_note(rows: Mapping[str, Sequence[Result]]) -> str:
    """The size that all rows are scored at, or a warning that names the rows of each size."""
    losses_at = defaultdict(list)
    for loss, runs in rows.items():
        for size in dict.fromkeys(run.scored_at for run in runs):
            losses_at[size or "an unknown size"].append(loss)
    if not losses_at:
        return ""
    if len(losses_at) == 1:
        return f"Scored at {next(iter(losses_at))}."
    parts = "; ".join(f"{', '.join(losses)} at {size}" for size, losses in losses_at.items())
    return f"NOT comparable, scored at different sizes: {parts}."
