"""Candidates side by side: means over seeds, and paired differences over images and seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError
from autosegloss.formulas import Formula
from autosegloss.ranking.evidence import Evidence
from autosegloss.ranking.resampling import DRAWS, interval, resamples

Runs = Mapping[int, Evidence]
"""The evidence of the trainings of one candidate, by their seed."""


class Mean(NamedTuple):
    """A mean over seeds, and its standard error: None with one seed."""

    value: float
    stderr: float | None


class Difference(NamedTuple):
    """The mean score of a candidate less that of another, over the seeds that both have.

    value: on the images as they are. low, high: 95 % percentile interval over resamples of images and seeds. stderr:
    the standard deviation of these resamples. seeds: how many are paired; with one the interval is over images alone.
    """

    value: float
    low: float
    high: float
    stderr: float
    seeds: int


@dataclass(frozen=True)
class Field:
    """The candidates of a comparison, all judged on the same images.

    Differences are those of a paired bootstrap in two levels: each resample draws images and seeds with replacement,
    the same for both candidates. The mean of S seeds, resampled, varies less than the mean does, by (S - 1) / S; the
    deviations are stretched by the root of the inverse.

    Args:
        runs: {candidate: its trainings}, in the order of simplicity.
        formulas: {metric: how it scores}.
        draws: The number of resamples.
        seed: Of the resamples.

    Raises:
        InputError: The candidates are not judged on the same images.
    """

    runs: Mapping[str, Runs]
    formulas: Mapping[str, Formula]
    draws: int = DRAWS
    seed: int = 0
    _drawn: dict[tuple[str, int, str], Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        truths = [evidence.truth for runs in self.runs.values() for evidence in runs.values()]
        if not all(torch.equal(truth, truths[0]) for truth in truths):
            raise InputError("the candidates are not judged on the same images, so that they cannot be compared")

    def mean(self, name: str, metric: str) -> Mean:
        """The mean score of a candidate over its seeds."""
        scores = [evidence.score(self.formulas[metric]) for evidence in self.runs[name].values()]
        error = statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None
        return Mean(statistics.fmean(scores), error)

    def difference(self, one: str, other: str, metric: str) -> Difference:
        """The paired difference of two candidates that share a seed."""
        seeds = [seed for seed in self.runs[one] if seed in self.runs[other]]
        pairs = [[self.runs[name][seed].score(self.formulas[metric]) for name in (one, other)] for seed in seeds]
        value = statistics.fmean(a - b for a, b in pairs)
        drawn = self._scores(one, seeds, metric) - self._scores(other, seeds, metric)
        resampled = over_seeds(drawn, self._picks(len(seeds)))
        low, high = interval(resampled)
        defined = resampled[~resampled.isnan()]
        error = float(defined.std(correction=0)) if len(defined) else math.nan
        return Difference(value, low, high, error, len(seeds))

    @cached_property
    def _counts(self) -> Tensor:
        evidence = next(evidence for runs in self.runs.values() for evidence in runs.values())
        return resamples(len(evidence.truth), self.draws, self.seed)

    def _picks(self, seeds: int) -> Tensor:
        drawn = np.random.default_rng([self.seed, 1]).integers(seeds, size=(self.draws, seeds))
        return torch.from_numpy(drawn)

    def _scores(self, name: str, seeds: Sequence[int], metric: str) -> Tensor:
        """The scores of resampled images, (draws, S)."""
        for seed in seeds:
            if (key := (name, seed, metric)) not in self._drawn:
                self._drawn[key] = self.runs[name][seed].resampled(self.formulas[metric], self._counts)
        return torch.stack([self._drawn[name, seed, metric] for seed in seeds], dim=1)


def over_seeds(scores: Tensor, picks: Tensor) -> Tensor:
    """The means of resampled seeds, (draws,), their deviations stretched by sqrt(S / (S - 1)).

    Args:
        scores: Of resampled images, (draws, S).
        picks: The seeds of each resample, integers (draws, S) below S.
    """
    seeds, mean = scores.shape[1], scores.mean(dim=1)
    if seeds == 1:
        return mean
    return mean + (scores.gather(1, picks).mean(dim=1) - mean) * math.sqrt(seeds / (seeds - 1))
