"""A cell of a table of scores: ours with their spread, and the published ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Number = float | str | None
"""A number in percent, a word in its place ("Fail"), or None."""


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of scores, in percent, and the published numbers.

    Args:
        count: the number of scores.
        mean: None without a score.
        std: None with fewer than two scores.
        published: {"paper": 78.69, "release": ...}, in percent, where known; a word if there is no number.
        target: whether the loss of the row is made for the metric of the column.
    """

    count: int = 0
    mean: float | None = None
    std: float | None = None
    published: Mapping[str, Number] = field(default_factory=dict)
    target: bool = False

    @classmethod
    def of(
        cls, scores: Iterable[float | None], published: Mapping[str, Number] | None = None, target: bool = False
    ) -> Cell:
        """Summarise scores in [0, 1], without those that are None or nan; `published` are in percent.

        Example:
            >>> Cell.of([0.5, 0.6, None]).text(digits=1)
            '55.0 ± 7.1'
        """
        percent = [100 * score for score in scores if score is not None and not math.isnan(score)]
        mean = statistics.fmean(percent) if percent else None
        std = statistics.stdev(percent) if len(percent) > 1 else None
        return cls(len(percent), mean, std, published or {}, target)

    def number(self, source: str) -> Number:
        """The number of a source, "ours" or one of `published`."""
        return self.mean if source == OURS else self.published.get(source)

    def text(self, digits: int, source: str = "ours") -> str:
        """The number of a source with `digits` digits after the point; of ours with ± standard deviation."""
        spread = "" if self.std is None or source != OURS else f" ± {self.std:.{digits}f}"
        return number_text(self.number(source), digits) + spread


OURS = "ours"


def number_text(number: Number, digits: int) -> str:
    """The number with `digits` digits after the point, "" for None, a word as it is."""
    if isinstance(number, str):
        return number
    return "" if number is None else f"{number:.{digits}f}"
