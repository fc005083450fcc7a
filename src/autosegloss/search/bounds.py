"""Where the coordinates of a search lie: each in an interval, or anywhere on the real line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autosegloss.errors import InputError

UNIT = (0.0, 1.0)
REAL = (-np.inf, np.inf)


class Bounds:
    """The intervals of D coordinates, closed, from `low` to `high` (D,): both finite, or the whole real line.

    Args:
        intervals: (D, 2), the ends of each; None is [0, 1] for all.
        size: D.

    Raises:
        InputError: An interval is of another kind, or there are not D of them.

    Example:
        >>> bounds = Bounds([(0, 1), REAL], size=2)
        >>> bounds.clip(np.array([1.5, 1.5])), bounds.bounded
        (array([1. , 1.5]), array([ True, False]))
    """

    def __init__(self, intervals: Sequence[Sequence[float]] | None, size: int):
        ends = np.array([UNIT] * size if intervals is None else intervals, np.float64)
        ends = ends.reshape(-1, 2) if not ends.size else ends
        if ends.shape != (size, 2):
            raise InputError(f"bounds: expected {size} intervals, each as low and high, got shape {ends.shape}")
        self.low, self.high = ends.T
        self.bounded = np.isfinite(ends).all(-1)
        if not (self.bounded & (self.low < self.high) | (ends == REAL).all(-1)).all():
            raise InputError(f"bounds: expected low < high, both finite or -inf and inf, got {ends.tolist()}")

    @property
    def finite(self) -> tuple[np.ndarray, np.ndarray]:
        """`low` and `high` where both are finite, 0 and 1 elsewhere."""
        return np.where(self.bounded, self.low, 0.0), np.where(self.bounded, self.high, 1.0)

    def clip(self, points: np.ndarray) -> np.ndarray:
        """Points (..., D) moved to the nearest within."""
        return points.clip(self.low, self.high)

    def contain(self, points: np.ndarray) -> bool:
        """Whether all points (..., D) are finite and within."""
        return bool((np.isfinite(points) & (points >= self.low) & (points <= self.high)).all())

    def __str__(self) -> str:
        kinds = dict.fromkeys(zip(self.low.tolist(), self.high.tolist(), strict=True))
        return " or ".join(f"[{low:g}, {high:g}]" if (low, high) != REAL else "the real numbers" for low, high in kinds)
