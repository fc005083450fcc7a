"""The space of a search: theta, and the scale of the loss as one more coordinate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autosegloss.errors import InputError, is_number
from autosegloss.search.bounds import UNIT
from autosegloss.search.trials import FlatTheta


@dataclass(frozen=True)
class Space:
    """The points of a search: theta (D,), and with `scales` the scale on a logarithmic axis as the last coordinate.

    Args:
        scales: The lowest and the highest scale; None searches theta alone, at scale 1.

    Raises:
        InputError: The scales are not two numbers above 0 in rising order.

    Example:
        >>> space = Space(scales=(0.5, 8.0))
        >>> space.point((0.2, 0.7), scale=2.0)
        (0.2, 0.7, 0.5)
        >>> space.theta((0.2, 0.7, 0.5)), space.scale((0.2, 0.7, 0.5))
        ((0.2, 0.7), 2.0)
    """

    scales: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.scales is None:
            return
        right = len(self.scales) == 2 and all(map(is_number, self.scales)) and 0 < self.scales[0] < self.scales[1]
        if not right:
            raise InputError(
                f"scales: expected the lowest and the highest scale, numbers above 0, or null, got {list(self.scales)}"
            )

    def point(self, theta: Sequence[float], scale: float = 1.0) -> FlatTheta:
        """The point of a theta (D,) and a scale; a scale outside of the space is moved to its edge."""
        if self.scales is None:
            return tuple(theta)
        low, high = self.scales
        return (*theta, min(1.0, max(0.0, math.log(scale / low) / math.log(high / low))))

    def bounds(self, interval: tuple[float, float], size: int) -> list[tuple[float, float]]:
        """The intervals of the coordinates of a point: of D = `size` numbers of theta, and of the scale."""
        return [interval] * size + [UNIT] * (self.scales is not None)

    def theta(self, point: Sequence[float]) -> FlatTheta:
        """The theta (D,) of a point."""
        return tuple(point) if self.scales is None else tuple(point[:-1])

    def scale(self, point: Sequence[float]) -> float:
        """The scale of a point, to four digits."""
        if self.scales is None:
            return 1.0
        low, high = self.scales
        return float(f"{low * (high / low) ** point[-1]:.4g}")
