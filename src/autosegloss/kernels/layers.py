"""Terms over all classes of a batch, packed so that one map holds the slopes of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from autosegloss.algebra import CurveSum
from autosegloss.algebra.masks import holds
from autosegloss.kernels.memory import Block, as_numbers

_FEW = 0.6  # share of counted pixels up to which they are picked


class Layer:
    """Terms whose masks share no pixel, each by its number: one map holds the slopes of all.

    Probabilities p are maps (n, C, p) of a block, 0 at ignored pixels, and the four buffers of `work` have their shape.
    """

    def __init__(self, k: int, term: CurveSum):
        self.terms = [(k, term)]
        self.straight = term.curve.straight

    def takes(self, term: CurveSum) -> bool:
        """Whether a term shares no pixel with those of the layer."""
        if self.straight or term.curve.straight or term.mask is None:
            return False
        return not any(own.mask is None or holds(own.mask & term.mask) for _, own in self.terms)

    def read(self, p: Tensor, block: Block, work: Sequence[Tensor], total: Tensor | None = None) -> Tensor:
        """The slopes of a block, in the last buffer; the sums are added to `total` (K, C)."""
        g, slope, free, result = work
        if self.terms[0][1].mask is None:
            ((k, term),) = self.terms
            term.curve.read(p, g, result, free)
            _add(total, k, g.sum(dim=(0, 2)))
            return result
        result.zero_()
        for k, term in self.terms:
            assert term.mask is not None, "a term without a mask shares no layer"
            mask = block.of(term.mask)
            if (index := _picked(mask, p.shape)) is not None:
                _add(total, k, _read_picked(term, p, index, work))
                continue
            term.curve.read(p, g, slope, free)
            counts = as_numbers(mask, free)
            result.addcmul_(slope, counts)
            _add(total, k, g.mul_(counts).sum(dim=(0, 2)))
        return result

    def add_gradient(
        self, d: Tensor, p: Tensor, block: Block, work: Sequence[Tensor], weights: Tensor, kept: Tensor | None
    ) -> None:
        """Add the gradient by p, of the sums weighted by (K, C), to d; `kept` are slopes that `read` gave."""
        factors, _, free, _ = work
        slopes = None if self.straight else self.read(p, block, work) if kept is None else kept
        weighted: Tensor = factors.zero_()
        for k, term in self.terms:
            if term.mask is None:
                weighted = weights[k, :, None]
            else:
                weighted.addcmul_(as_numbers(block.of(term.mask), free), weights[k, :, None])
        if slopes is None:
            d.add_(weighted)
        else:
            d.addcmul_(slopes, weighted)


def layers_of(terms: Sequence[CurveSum], device: torch.device) -> list[Layer]:
    """The layers of the terms that do not count labels alone; a GPU would have to wait to learn what masks share."""
    layers: list[Layer] = []
    for k, term in enumerate(terms):
        if term.at_labels:
            continue
        found = next((layer for layer in layers if device.type == "cpu" and layer.takes(term)), None)
        if found is None:
            layers.append(Layer(k, term))
        else:
            found.terms.append((k, term))
    return layers


def _picked(mask: Tensor, shape: torch.Size) -> Tensor | None:
    """The flat indices of the places (n, C, p) that count, on a CPU if these are few."""
    if mask.device.type != "cpu":
        return None
    mask = mask.contiguous()
    if np.count_nonzero(mask.numpy()) > _FEW * mask.numel():
        return None
    return torch.from_numpy(np.flatnonzero(mask.expand(shape).numpy()))


def _read_picked(term: CurveSum, p: Tensor, index: Tensor, work: Sequence[Tensor]) -> Tensor:
    """The sums (C,) of picked places; their slopes are written to the last buffer."""
    y = p.view(-1).index_select(0, index)
    g, slope, free = (buffer.view(-1)[: len(y)] for buffer in work[:3])
    term.curve.read(y, g, slope, free)
    work[3].view(-1).index_copy_(0, index, slope)
    if p.shape[:2].numel() == 1:
        return g.sum().view(1)
    images, classes, size = p.shape
    ends = torch.searchsorted(index, size * torch.arange(1, images * classes))
    return torch.stack([part.sum() for part in g.tensor_split(ends)]).view(images, classes).sum(dim=0)


def _add(total: Tensor | None, k: int, sums: Tensor) -> None:
    if total is not None:
        total[k] += sums
