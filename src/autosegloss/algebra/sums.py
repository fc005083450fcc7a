"""Sums over pixels, described before they are computed: what a formula returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from torch import Tensor

from autosegloss.curves import Curve


class Term:
    """A sum (C,) that a formula asks for and the kernels compute."""


@dataclass(frozen=True, eq=False)
class CurveSum(Term):
    """sum_x g(p_c(x)) over the pixels x of a mask, for each class c -> (C,).

    Args:
        curve: g.
        mask: bool, (N, 1, *S) or (N, P); None counts all valid pixels.
        at_labels: each pixel counts for the class of its label alone. Otherwise g(0) = 0, so that ignored pixels,
            whose probabilities are 0, add nothing.
    """

    curve: Curve
    mask: Tensor | None
    at_labels: bool


@dataclass(frozen=True, eq=False)
class Sum:
    """A linear combination of sums to compute and computed sums (C,): sum_k factor_k term_k.

    Sums are added, subtracted and multiplied by numbers. Any other function of them belongs in the score of a formula,
    which sees their values.

    Example:
        >>> import torch
        >>> from autosegloss.algebra import DenseMap
        >>> true = DenseMap(torch.tensor([[[[True, False]]]]))
        >>> valid = torch.tensor([[[[True, True]]]])
        >>> (2 * true.total(valid) - true.total(valid)).terms
        ((2, tensor([1])), (-1, tensor([1])))
    """

    terms: tuple[tuple[float, Term | Tensor], ...]

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.terms + other.terms) if isinstance(other, Sum) else NotImplemented

    def __radd__(self, other: int) -> Sum:
        return self if isinstance(other, int) and other == 0 else NotImplemented  # the start of Python's sum()

    def __sub__(self, other: Sum) -> Sum:
        return self + -1 * other if isinstance(other, Sum) else NotImplemented

    def __neg__(self) -> Sum:
        return -1 * self

    def __mul__(self, factor: float) -> Sum:
        if not isinstance(factor, int | float):
            return NotImplemented
        return Sum(tuple((factor * own, term) for own, term in self.terms))

    __rmul__ = __mul__

    def __bool__(self) -> NoReturn:
        raise TypeError("a formula cannot branch on a sum, whose value is not known yet")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a formula cannot compare a sum, whose value is not known yet")
