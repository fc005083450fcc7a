"""How far scores would vary with other images: percentile bootstrap over images (Efron 1979), seeded.

A score of a data set is a function of sums over its images. So a resample of the images is a count for each of them,
and its sums are exact integers, the product of counts and sums: no image is judged twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError
from autosegloss.evaluation.measure import Measured
from autosegloss.formulas import Formula
from autosegloss.formulas.exact import exact_class_scores, exact_score

LEVEL = 0.95
DRAWS = 1000


class Interval(NamedTuple):
    """The bounds of a percentile interval; nan if the score is defined in no resample."""

    low: float
    high: float


class Difference(NamedTuple):
    """A score less that of another run on the same images.

    value: the difference on the images as they are. interval: of the difference over resamples, the same for both runs.
    below_zero: the share of the resamples in which it is below 0.
    """

    value: float
    interval: Interval
    below_zero: float


def resamples(images: int, draws: int, seed: int) -> Tensor:
    """How often each image occurs in each resample of as many images, float64 (draws, images)."""
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)
    return torch.from_numpy(counts).double()


def resampled_scores(measured: Measured, formula: Formula, counts: Tensor) -> Tensor:
    """The score of each resample, float64 (draws,)."""
    sums = _resampled(measured.sums[formula.name], counts)
    return torch.stack([exact_score(formula, own, measured.ignore_index).double() for own in sums])


def resampled_class_scores(measured: Measured, formula: Formula, counts: Tensor) -> Tensor:
    """The scores of the classes in each resample, float64 (draws, C)."""
    sums = _resampled(measured.sums[formula.name], counts)
    scores = (exact_class_scores(formula, own, measured.num_classes, measured.ignore_index) for own in sums)
    return torch.stack([own.double() for own in scores])


def _resampled(sums: Mapping[str, Tensor], counts: Tensor) -> list[dict[str, Tensor]]:
    """The sums (C,) of each resample, in the type that they have."""
    # Products of float64 are fast, and exact for integers below 2**53.
    totals = {name: (counts @ value.double()).to(value.dtype) for name, value in sums.items()}
    return [{name: value[draw] for name, value in totals.items()} for draw in range(len(counts))]


def interval(scores: Tensor) -> Interval:
    """The percentile interval of scores (draws,), without those that are nan."""
    defined = scores[~scores.isnan()]
    if not len(defined):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(defined.numpy(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def differences(one: Measured, other: Measured, counts: Tensor) -> dict[str, Difference]:
    """The paired bootstrap of each metric that both have.

    Raises:
        InputError: the two were not judged on the same images.
    """
    same = one.names == other.names and torch.equal(one.confusion.sum(dim=1), other.confusion.sum(dim=1))
    if not same:
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
