"""How far boundaries reach on a data set."""

from __future__ import annotations

from dataclasses import dataclass

from autosegloss.errors import InputError
from autosegloss.formulas import BoundaryF1, BoundaryIoU
from autosegloss.formulas.lengths import check_extent


@dataclass(frozen=True)
class Boundary:
    """How the metrics of boundaries see a data set.

    Args:
        width: of the band of BIoU: whole pixels of what is judged, or below 1 a fraction of its diagonal.
        tolerance: of BF1: likewise.
        rims: whether a class ends where ignored pixels begin, for masks that part objects by a rim of them.

    Raises:
        InputError: for another number.
    """

    width: float = 5
    tolerance: float = 5
    rims: bool = False

    def __post_init__(self) -> None:
        check_extent("data.boundary.width", self.width)
        check_extent("data.boundary.tolerance", self.tolerance)
        if not isinstance(self.rims, bool):
            raise InputError(f"data.boundary.rims must be true or false, got {self.rims!r}")

    @property
    def metrics(self) -> tuple[BoundaryIoU, BoundaryF1]:
        """BIoU and BF1 with these options."""
        return BoundaryIoU(self.width, rims=self.rims), BoundaryF1(self.tolerance, rims=self.rims)
