"""From logits to probabilities and back: softmax for classes that exclude each other, sigmoid for those that do not."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.inputs import compute_dtype, soft_map

_LEAST = 1e-6  # the least probability that has a logit of its own


class Activation(ABC):
    """Makes probabilities (N, C, *S) of the output of a network."""

    @abstractmethod
    def probs(self, logits: Tensor, valid: Tensor) -> Tensor:
        """Probabilities of logits (N, C, *S), 0 where valid (N, 1 or C, *S) does not hold; at least float32."""

    @abstractmethod
    def write(self, logits: Tensor, out: Tensor) -> None:
        """Write the probabilities of logits (n, C, ...) to `out`."""

    @abstractmethod
    def gradient_(self, d: Tensor, probs: Tensor) -> Tensor:
        """The gradient by the logits of d, that by the probabilities (n, C, ...); d is overwritten."""

    @abstractmethod
    def logits(self, probs: Tensor) -> Tensor:
        """Finite logits of which these are the probabilities."""

    @abstractmethod
    def cross_entropy(self, logits: Tensor, true: Tensor, valid: Tensor) -> Tensor:
        """Mean cross-entropy of labels (N, C, *S), crisp or soft, over what counts."""


class Softmax(Activation):
    """p_c = exp(z_c) / sum_k exp(z_k) (eq. 7)."""

    def __reduce__(self) -> str:
        return "SOFTMAX"  # a copy is the same object, by which the kernels know it

    def probs(self, logits: Tensor, valid: Tensor) -> Tensor:
        return soft_map(logits, valid)

    def write(self, logits: Tensor, out: Tensor) -> None:
        if logits.shape[1] == 2 and logits.device.type == "cpu":
            _write_two(logits, out)
        else:
            torch.softmax(logits, dim=1, dtype=out.dtype, out=out)

    def gradient_(self, d: Tensor, probs: Tensor) -> Tensor:
        d.mul_(probs)
        return d.addcmul_(probs, d.sum(dim=1, keepdim=True), value=-1)

    def logits(self, probs: Tensor) -> Tensor:
        return probs.clamp_min(_LEAST).log()

    def cross_entropy(self, logits: Tensor, true: Tensor, valid: Tensor) -> Tensor:
        logits = logits.to(compute_dtype(logits.dtype)).masked_fill(~valid, 0)
        each = -(true.to(logits.dtype) * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)
        return (each * valid).sum() / valid.sum().clamp_min(1)


class Sigmoid(Activation):
    """p_c = 1 / (1 + exp(-z_c))."""

    def __reduce__(self) -> str:
        return "SIGMOID"

    def probs(self, logits: Tensor, valid: Tensor) -> Tensor:
        return torch.sigmoid(logits.to(compute_dtype(logits.dtype)).masked_fill(~valid, 0)) * valid

    def write(self, logits: Tensor, out: Tensor) -> None:
        if logits.dtype == out.dtype:
            torch.sigmoid(logits, out=out)
        else:
            out.copy_(logits).sigmoid_()

    def gradient_(self, d: Tensor, probs: Tensor) -> Tensor:
        d.mul_(probs)
        return d.addcmul_(d, probs, value=-1)

    def logits(self, probs: Tensor) -> Tensor:
        return torch.logit(probs, eps=_LEAST)

    def cross_entropy(self, logits: Tensor, true: Tensor, valid: Tensor) -> Tensor:
        logits = logits.to(compute_dtype(logits.dtype)).masked_fill(~valid, 0)
        each = F.binary_cross_entropy_with_logits(logits, true.to(logits.dtype), reduction="none")
        return (each * valid).sum() / valid.expand_as(each).sum().clamp_min(1)


class Given(Activation):
    """The network gives probabilities, those that another activation would make of logits."""

    def __init__(self, of: Activation):
        self.of = of

    def probs(self, logits: Tensor, valid: Tensor) -> Tensor:
        return logits.to(compute_dtype(logits.dtype)).masked_fill(~valid, 0)

    def write(self, logits: Tensor, out: Tensor) -> None:
        out.copy_(logits)

    def gradient_(self, d: Tensor, probs: Tensor) -> Tensor:
        return d

    def cross_entropy(self, logits: Tensor, true: Tensor, valid: Tensor) -> Tensor:
        return self.of.cross_entropy(self.logits(self.probs(logits, valid)), true, valid)

    def logits(self, probs: Tensor) -> Tensor:
        return self.of.logits(probs)


def _write_two(logits: Tensor, out: Tensor) -> None:
    """The softmax of two classes as the sigmoid of how far one logit is above the other, in a third of the time."""
    first, second = out.unbind(dim=1)
    torch.sub(*logits.to(out.dtype).unbind(dim=1), out=first)
    torch.neg(first, out=second).sigmoid_()
    first.sigmoid_()


SOFTMAX, SIGMOID = Softmax(), Sigmoid()
