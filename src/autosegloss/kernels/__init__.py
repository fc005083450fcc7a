"""Sums of curves over softmax probabilities, differentiable by the logits: the price of a loss is paid here.

What a formula sums of a prediction under AND and OR with a one-hot map is, whatever the formula, a curve of the
probabilities, over all classes or at the labels alone. So a formula is read twice: first to learn which such sums it
wants, then with them; probabilities are never laid out for it. A formula that wants anything else, such as boundaries
of the prediction, is read on the probabilities themselves, part by part (`recompute`).
"""

from __future__ import annotations

from torch import Tensor

from autosegloss.algebra.labelmap import LabelMap
from autosegloss.algebra.softmap import LaidOutError, Probabilities
from autosegloss.kernels.engine import reduced
from autosegloss.kernels.memory import wide
from autosegloss.kernels.recompute import Read, Sums, summed
from autosegloss.kernels.terms import Term

__all__ = ["soft_sums"]


def soft_sums(read: Read, logits: Tensor, labels: Tensor, valid: Tensor, classwise: bool = False) -> Sums:
    """The sums that `read` makes of softmax probabilities, true and valid map, differentiable by the logits (N, C, *S).

    labels: (N, *S) in [0, C) also where valid (N, 1, *S) is not; probabilities are 0 there. Under autocast and for
    half precision sums are float32. classwise: see `Formula.classwise`.
    """
    true, wanted = LabelMap(labels, valid, logits.shape[1]), []
    nothing = logits.new_zeros(logits.shape[1], dtype=wide(logits.dtype))
    try:
        read(Probabilities(true, lambda want: wanted.append(want) or nothing), true, valid)
    except LaidOutError:
        return summed(read, logits, labels, valid, classwise)
    terms = [Term(want.curve, None if want.mask is valid else want.mask.flatten(1), want.at_labels) for want in wanted]
    values = iter(reduced(logits.flatten(2), labels.flatten(1), valid.flatten(1), terms).unbind())
    return read(Probabilities(true, lambda _: next(values)), true, valid)
