"""How far boundaries reach on a data set."""

from __future__ import annotations

from dataclasses import dataclass

from autosegloss.formulas.lengths import check_extent


@dataclass(frozen=True)
class Boundary:
    """The extents of the metrics of boundaries: whole pixels of what is judged, or below 1 a fraction of its diagonal.

    Args:
        width: of the band of BIoU.
        tolerance: of BF1.

    Raises:
        InputError: for another number.
    """

    width: float = 5
    tolerance: float = 5

    def __post_init__(self) -> None:
        check_extent("data.boundary.width", self.width)
        check_extent("data.boundary.tolerance", self.tolerance)
