"""Sums over the soft boundary of a prediction on a GPU: BF1 without a map for each operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from autosegloss.algebra.maps import ClassSets
from autosegloss.curves import Curve
from autosegloss.kernels import boundary_kernels as kernels
from autosegloss.kernels.triton_kernels import tile

_BLOCK = 1024  # pixels of a program that reads one class
_PIXELS = 256  # pixels of a program that reads labels


class Truth(NamedTuple):
    """labels: (N, P) int64 in [0, C); valid, edge: (N, P) bool, the edge being the boundary of the truth; sets: (N, W, P) int32."""

    labels: Tensor
    valid: Tensor
    edge: Tensor
    sets: Tensor


class Terms(NamedTuple):
    """xor: the four curves of OR and AND; the sums `counted`, and `found` within a window of `side` pixels.

    Bit k of `larger` and `in_sets` is that of counted[k].
    """

    xor: Sequence[Curve]
    counted: Sequence[Curve]
    larger: int
    in_sets: int
    found: Curve
    side: int


class BoundarySums(torch.autograd.Function):
    """Logits (N, C, H, W) -> the sums (K + 1, C) of the terms."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, terms: Terms) -> Tensor:
        run = _Run(logits, truth, terms)
        log_sums = run.log_sums()
        boundary, lowest, counted = run.boundary(log_sums)
        highest, source, found = run.highest(boundary)
        ctx.save_for_backward(logits, *truth, log_sums, lowest, highest, source)
        ctx.terms = terms
        return torch.cat([counted, found])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, valid, edge, sets, log_sums, lowest, highest, source = ctx.saved_tensors
        run, weights = _Run(logits, Truth(labels, valid, edge, sets), ctx.terms), weights.float().contiguous()
        gradient = run.returned(highest, source, weights[-1])
        return run.gradient(log_sums, lowest, gradient, weights[:-1]), None, None


class _Run:
    """The launches of the kernels for one batch."""

    def __init__(self, logits: Tensor, truth: Truth, terms: Terms):
        self.logits, self.truth, self.terms = logits.flatten(2), truth, terms
        self.count, self.classes, self.height, self.width = logits.shape
        curves = [*terms.xor, *terms.counted, terms.found]
        self.pieces = max(len(curve.pieces or ()) for curve in curves)
        tables = torch.stack([curve.table(self.pieces, logits.device) for curve in curves])
        self.edges, self.table, self.last = tables[:4], tables[4:-1], tables[-1]
        self.size = self.height * self.width
        self.tile = tile(self.classes)

    def log_sums(self) -> Tensor:
        result, tiles = self.empty(self.count, self.size), triton.cdiv(self.size, self.tile["block_p"])
        kernels.log_sums_kernel[self.count * tiles,](
            self.logits, self.truth.valid, result, *self.logits.stride(), self.classes, self.size, tiles, **self.tile
        )
        return result

    def boundary(self, log_sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boundary = self.empty(self.count, self.classes, self.size)
        lowest = torch.empty_like(boundary, dtype=torch.int8)
        tiles = triton.cdiv(self.size, _BLOCK)
        partial = self.empty(self.count, self.classes, tiles, len(self.table))
        kernels.boundary_kernel[self.count * self.classes * tiles,](
            self.logits, log_sums, self.truth.sets, self.edges, self.table, boundary, lowest, partial,
            *self.logits.stride(), *self._sizes(tiles), **self._constants(),
        )  # fmt: skip
        return boundary, lowest, partial.sum(dim=(0, 2), dtype=torch.float64).T.float()

    def highest(self, boundary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        highest, block_c = self.empty(self.count, self.size), self.tile["block_c"]
        source = torch.empty_like(highest, dtype=torch.int32)
        tiles = triton.cdiv(self.size, _PIXELS)
        partial = self.empty(self.count * tiles, block_c)
        kernels.highest_kernel[self.count * tiles,](
            boundary, self.truth.labels, self.truth.edge, self.last, highest, source, partial,
            self.classes, self.height, self.width, self.terms.side, tiles,
            pieces=self.pieces, block_c=block_c, block_p=_PIXELS,
        )  # fmt: skip
        return highest, source, partial[:, : self.classes].sum(dim=0, dtype=torch.float64).float()[None]

    def returned(self, highest: Tensor, source: Tensor, weights: Tensor) -> Tensor:
        result = torch.zeros(self.count, self.classes, self.size, device=highest.device)
        tiles = triton.cdiv(self.size, _BLOCK)
        kernels.return_kernel[self.count * tiles,](
            self.truth.labels, highest, source, self.last, weights, result, self.classes, self.size, tiles,
            pieces=self.pieces, block_p=_BLOCK,
        )  # fmt: skip
        return result

    def gradient(self, log_sums: Tensor, lowest: Tensor, gradient: Tensor, weights: Tensor) -> Tensor:
        direct, tiles = torch.empty_like(gradient), triton.cdiv(self.size, _BLOCK)
        kernels.slope_kernel[self.count * self.classes * tiles,](
            self.logits, log_sums, self.truth.sets, self.edges, self.table, lowest, weights, gradient, direct,
            *self.logits.stride(), *self._sizes(tiles), **self._constants(),
        )  # fmt: skip
        result, tiles = torch.empty_like(self.logits), triton.cdiv(self.size, self.tile["block_p"])
        kernels.logits_kernel[self.count * tiles,](
            self.logits, log_sums, lowest, gradient, direct, result, *self.logits.stride(), *result.stride(),
            self.classes, self.height, self.width, tiles, **self.tile,
        )  # fmt: skip
        return result.unflatten(2, (self.height, self.width))

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self.logits.device)

    def _sizes(self, tiles: int) -> tuple[int, ...]:
        return self.classes, self.height, self.width, self.truth.sets.shape[1], tiles

    def _constants(self) -> dict[str, int]:
        terms = self.terms
        constants = {"term_count": len(terms.counted), "pieces": self.pieces, "larger": terms.larger}
        return {**constants, "in_sets": terms.in_sets, "word": ClassSets.WORD, "block": _BLOCK}
