"""What a finished search leaves for people: its figures and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from autosegloss.curves import Curve
from autosegloss.formulas import PAPER
from autosegloss.report.figures import curves_figure, save, search_figure
from autosegloss.report.table import comparison_table
from autosegloss.search import History
from autosegloss.theta_card import ThetaCard
from autosegloss.training.outcome import Result


def write_figures(directory: Path, history: History, card: ThetaCard) -> None:
    """search.png, the scores of all trials, and curves.png, the curves of the card."""
    save(search_figure(history, card.metric.name), directory / "search.png")
    save(card_figure(card), directory / "curves.png")


def card_figure(card: ThetaCard):
    """The curves of a theta card, one panel per logical operation."""
    y = torch.linspace(0, 1, 501, dtype=torch.float64)
    panels, inner = {}, {}
    for operation, rows in card.control_points.items():
        labels = ("found",) if len(rows) == 1 else ("first operand", "second operand")
        panels[operation] = {
            label: (y.numpy(), Curve(card.curve, points)(y).numpy()) for label, points in zip(labels, rows, strict=True)
        }
        inner[operation] = np.asarray(rows[0, 1:-1])
    return curves_figure(panels, inner)


def write_tables(directory: Path, rows: Mapping[str, Sequence[Result]], target: str) -> list[Table]:
    """Write comparison.md, a table per split (validation, and test if it was scored); returns them for the console."""
    metrics = [*PAPER, *([] if target in PAPER else [target])]
    splits = {
        "Validation": {loss: [run.scores for run in runs] for loss, runs in rows.items()},
        "Test": {loss: [run.test for run in runs if run.test] for loss, runs in rows.items()},
    }
    tables = {
        split: comparison_table(scores, metrics, target) for split, scores in splits.items() if any(scores.values())
    }
    pages = [f"## {split}\n\n{table.markdown()}" for split, table in tables.items()]
    if pages:
        (directory / "comparison.md").write_text("\n".join(pages))
    return [table.rich(title=split) for split, table in tables.items()]
