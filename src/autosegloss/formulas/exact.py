"""A formula read exactly: its sums over crisp maps, and the scores of these."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autosegloss.algebra import DenseMap, ExactLogic, LabelMap, Map
from autosegloss.algebra.inputs import counted, with_ignored
from autosegloss.formulas.average import Average
from autosegloss.formulas.formula import Formula, Sums, values


def exact_sums(
    formula: Formula, pred: Map, true: LabelMap | DenseMap, valid: Tensor | None = None
) -> dict[str, Tensor]:
    """The sums (C,) int64 of a prediction and the truth, crisp maps (N, C, *S), within the pixels that count.

    Without `valid` these are those of the mask of one-hot labels.
    """
    if valid is None:
        assert isinstance(true, LabelMap)
        valid = true.mask
    return values(formula.plan(ExactLogic(formula.operations), pred, true, valid))


def exact_score(formula: Formula, sums: Sums, ignore_index: int | None) -> Tensor:
    """The score of sums (C,), a scalar in [0, 1]; nan if no class is defined. A class that is ignored is left out."""
    return averaged(formula, [sums], Average("defined", left_out=ignore_index))


def averaged(formula: Formula, images: Sequence[Sums], average: Average) -> Tensor:
    """The score of the sums (C,) of images, or of all of them, a scalar in [0, 1]; nan if nothing is defined."""
    if not images:
        return torch.tensor(torch.nan)
    images = [average.selected(sums) for sums in images]
    some = torch.stack([average.defined(formula, sums) for sums in images]).any()
    return average.score(formula, images).where(some, torch.nan)


def exact_class_scores(formula: Formula, sums: Sums, num_classes: int, ignore_index: int | None) -> Tensor:
    """The scores (C,) of the classes; nan for a class that is not defined, or ignored."""
    sums = counted(sums, ignore_index)
    scores = formula.class_scores(sums).where(formula.defined(sums), torch.nan)
    return with_ignored(scores, num_classes, ignore_index)
