"""A cell of a table of scores: their mean and their spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of scores, in percent.

    Args:
        count: the number of scores.
        mean: None without a score.
        std: None with fewer than two scores.
        release: the value of the authors' release in percent, if known.
    """

    count: int = 0
    mean: float | None = None
    std: float | None = None
    release: float | None = None

    @classmethod
    def of(cls, scores: Iterable[float | None], release: float | None = None) -> Cell:
        """Summarise scores in [0, 1], without those that are None or nan; `release` is in percent.

        Example:
            >>> Cell.of([0.5, 0.6, None]).text(digits=1)
            '55.0 ± 7.1'
        """
        percent = [100 * score for score in scores if score is not None and not math.isnan(score)]
        mean = statistics.fmean(percent) if percent else None
        return cls(len(percent), mean, statistics.stdev(percent) if len(percent) > 1 else None, release)

    def text(self, digits: int) -> str:
        """Mean ± standard deviation with `digits` digits after the point; "" without a score."""
        spread = "" if self.std is None else f" ± {self.std:.{digits}f}"
        return number_text(self.mean, digits) + spread


def number_text(number: float | None, digits: int) -> str:
    """The number with `digits` digits after the point, "" for None."""
    return "" if number is None else f"{number:.{digits}f}"
