"""Resampled images and their scores: the bootstrap (Efron 1979) of metrics over a data set, seeded.

A score of a data set is a function of sums over its images. So a resample of the images is a count for each of them,
and its sums are exact integers, the product of counts and sums: no image is judged twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.formulas import Formula
from autosegloss.formulas.exact import exact_score

LEVEL = 0.95
DRAWS = 1000


class Interval(NamedTuple):
    """The bounds of a percentile interval; nan if the score is defined in no resample."""

    low: float
    high: float


def resamples(images: int, draws: int, seed: int) -> Tensor:
    """How often each image occurs in each resample of as many images, float64 (draws, images)."""
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)
    return torch.from_numpy(counts).double()


def resampled_sums(sums: Mapping[str, Tensor], counts: Tensor) -> dict[str, Tensor]:
    """The sums (draws, C) of resamples (draws, images) from those of the images (images, C), in their type."""
    # Products of float64 are fast, and exact for integers below 2**53.
    return {name: (counts @ value.double()).to(value.dtype) for name, value in sums.items()}


def resampled_scores(formula: Formula, sums: Mapping[str, Tensor], counts: Tensor, ignore_index: int | None) -> Tensor:
    """The score of each resample, float64 (draws,); nan where no class is defined.

    Args:
        formula: The metric.
        sums: Its sums of every image, {statistic: (images, C)}.
        counts: How often each image occurs in each resample, (draws, images).
        ignore_index: The label of pixels that count nowhere.
    """
    totals = resampled_sums(sums, counts)

    def score(own: Mapping[str, Tensor]) -> Tensor:
        return exact_score(formula, own, ignore_index).double()

    try:
        return torch.func.vmap(score)(totals)  # a hundred times faster than one draw after the other
    except RuntimeError:  # the formula branches on the values of its sums
        draws = ({name: value[draw] for name, value in totals.items()} for draw in range(len(counts)))
        return torch.stack([score(own) for own in draws])


def interval(scores: Tensor) -> Interval:
    """The percentile interval of scores (draws,), without those that are nan."""
    defined = scores[~scores.isnan()]
    if not len(defined):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(defined.numpy(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
