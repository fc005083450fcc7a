"""How far scores would vary with other images: the bootstrap of `autosegloss.ranking.resampling` on what is judged."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from autosegloss.errors import InputError
from autosegloss.evaluation.measure import Measured
from autosegloss.formulas import Formula
from autosegloss.formulas.exact import exact_class_scores
from autosegloss.ranking import Interval, interval
from autosegloss.ranking import resampled_scores as scores_of_resamples
from autosegloss.ranking.resampling import resampled_sums


class Difference(NamedTuple):
    """A score less that of another run on the same images.

    value: the difference on the images as they are. interval: of the difference over resamples, the same for both runs.
    below_zero: the share of the resamples in which it is below 0.
    """

    value: float
    interval: Interval
    below_zero: float


def resampled_scores(measured: Measured, formula: Formula, counts: Tensor) -> Tensor:
    """The score of each resample, float64 (draws,)."""
    return scores_of_resamples(formula, measured.sums[formula.name], counts, measured.ignore_index)


def resampled_class_scores(measured: Measured, formula: Formula, counts: Tensor) -> Tensor:
    """The scores of the classes in each resample, float64 (draws, C)."""
    totals = resampled_sums(measured.sums[formula.name], counts)
    draws = ({name: value[draw] for name, value in totals.items()} for draw in range(len(counts)))
    scores = (exact_class_scores(formula, own, measured.num_classes, measured.ignore_index) for own in draws)
    return torch.stack([own.double() for own in scores])


def differences(one: Measured, other: Measured, counts: Tensor) -> dict[str, Difference]:
    """The paired bootstrap of each metric that both have.

    Raises:
        InputError: the two were not judged on the same images.
    """
    (true, _), (also, _) = one.shares, other.shares
    if one.names != other.names or true.shape != also.shape or not torch.allclose(true, also, equal_nan=True):
        raise InputError(
            "the two runs are not judged on the same masks, so that they cannot be paired: judge both on one data set "
            "with data=NAME data.root=ROOT, and data.score_at=masks"
        )
    return {each.name: _difference(one, other, each, counts) for each in one.formulas if each in other.formulas}


def _difference(one: Measured, other: Measured, formula: Formula, counts: Tensor) -> Difference:
    drawn = resampled_scores(one, formula, counts) - resampled_scores(other, formula, counts)
    defined = drawn[~drawn.isnan()]
    below = float((defined < 0).double().mean()) if len(defined) else float("nan")
    return Difference(one.scores[formula.name] - other.scores[formula.name], interval(drawn), below)
