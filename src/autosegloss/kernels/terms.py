"""What a reduction is asked for."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from autosegloss.curves import Curve


class Term(NamedTuple):
    """A sum (C,) over pixels within mask (N, P) bool, or over all if it is None, of g(p_c).

    at_labels: each pixel counts for the class of its label alone. Otherwise g(0) = 0, so that ignored pixels add none.
    """

    curve: Curve
    mask: Tensor | None
    at_labels: bool
