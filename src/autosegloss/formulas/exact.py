"""A formula read exactly: its sums over one-hot maps, and the scores of these."""

from __future__ import annotations

import torch
from torch import Tensor

from autosegloss.algebra import ExactLogic, LabelMap
from autosegloss.algebra.inputs import counted, with_ignored
from autosegloss.formulas.formula import Formula, Sums, values


def exact_sums(formula: Formula, pred: LabelMap, true: LabelMap) -> dict[str, Tensor]:
    """The sums (C,) int64 of a prediction and the truth, one-hot maps (N, C, *S), within the mask of the truth."""
    return values(formula.plan(ExactLogic(formula.operations), pred, true, true.mask))


def exact_score(formula: Formula, sums: Sums, ignore_index: int | None) -> Tensor:
    """The score of sums (C,), a scalar in [0, 1]; nan if no class is defined. A class that is ignored is left out."""
    sums = counted(sums, ignore_index)
    return formula.score(sums).where(formula.class_weights(sums, "defined").any(), torch.nan)


def exact_class_scores(formula: Formula, sums: Sums, num_classes: int, ignore_index: int | None) -> Tensor:
    """The scores (C,) of the classes; nan for a class that is not defined, or ignored."""
    sums = counted(sums, ignore_index)
    scores = formula.class_scores(sums).where(formula.defined(sums), torch.nan)
    return with_ignored(scores, num_classes, ignore_index)
