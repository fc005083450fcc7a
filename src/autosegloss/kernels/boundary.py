"""Sums over the soft boundary of a prediction on a GPU: BF1 without a map for each operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from autosegloss.algebra import LabelMap, Term
from autosegloss.algebra.boundaries import FoundSum, Matched, MatchedSum, WholeSum
from autosegloss.algebra.maps import ClassSets
from autosegloss.curves import Curve
from autosegloss.kernels import boundary_kernels as kernels
from autosegloss.kernels.triton_kernels import in_reach, tables
from autosegloss.once import differentiated_once

BLOCK = 128  # pixels of a program
WARPS = 1


def fits(terms: Sequence[Term], logits: Tensor, true: LabelMap) -> bool:
    """Whether the kernels support such terms and logits (N, C, *S): one of each kind, of one boundary in images."""
    kinds: dict[type[Term], Any] = {type(term): term for term in terms}
    if len(terms) != len(kinds) or set(kinds) != {MatchedSum, WholeSum, FoundSum}:
        return False
    matched, whole, found = kinds[MatchedSum], kinds[WholeSum], kinds[FoundSum]
    curves = [*matched.boundary.curves, matched.curve, found.curve]
    same = matched.boundary is whole.boundary is found.boundary and found.where.labels is true.labels
    return same and _largest(whole.matched, matched) and in_reach(logits) and all(curve.pieces for curve in curves)


def _largest(larger: Matched | None, matched: MatchedSum) -> bool:
    """Whether a whole is that of the boundary, or of the larger of it and the same matched part."""
    return larger is None or (larger.bent.curve is matched.curve and larger.sets is matched.sets)


def evaluate(terms: Sequence[Term], logits: Tensor, true: LabelMap) -> dict[Term, Tensor]:
    """The values (C,) of terms that fit."""
    kinds: dict[type[Term], Any] = {type(term): term for term in terms}
    matched, whole, found = kinds[MatchedSum], kinds[WholeSum], kinds[FoundSum]
    maps = true.labels.flatten(1), true.mask.flatten(1), found.where.mask.flatten(1), matched.sets.sets.flatten(2)
    truth = Truth(*(m.contiguous() for m in maps))  # slices of a volume may be strided
    curves = Terms(matched.boundary.curves, matched.curve, whole.matched is not None, found.curve, found.side)
    sums = BoundarySums.apply(logits.contiguous(), truth, curves)
    return dict(zip((matched, whole, found), sums.unbind(), strict=True))


class Truth(NamedTuple):
    """labels: (N, P) int64 in [0, C); valid, edge: (N, P) bool, edge being the boundary; sets: (N, W, P) int32."""

    labels: Tensor
    valid: Tensor
    edge: Tensor
    sets: Tensor


class Terms(NamedTuple):
    """The curves of the sums.

    xor: of OR and AND, each for a pixel and for the lowest one of its window. matched: of the boundary within the sets.
    larger: the second sum is that of the larger of both, else that of the boundary. found: of the highest boundary in a
    window of `side` pixels.
    """

    xor: Sequence[Curve]
    matched: Curve
    larger: bool
    found: Curve
    side: int


class BoundarySums(torch.autograd.Function):
    """Logits (N, C, H, W) -> the sums (3, C): of the matched boundary, of the whole, and of the found one."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, terms: Terms) -> Tensor:
        with torch.cuda.device_of(logits):
            run = _Run(logits, truth, terms)
            probs = run.softmax(logits.flatten(2))
            boundary, lowest, counted = run.boundary(probs)
            highest, source, found = run.highest(boundary)
        result = torch.cat([counted, found])
        ctx.save_for_backward(*truth, probs, lowest, highest, source, result)
        ctx.terms, ctx.like = terms, torch.empty_like(logits, device="meta")
        return result

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        labels, valid, edge, sets, probs, lowest, highest, source, _ = ctx.saved_tensors
        weights = weights.float().contiguous()
        with torch.cuda.device_of(probs):
            run = _Run(ctx.like, Truth(labels, valid, edge, sets), ctx.terms)
            gradient = run.gradient(probs, lowest, highest, source, weights)
            result = run.by_logits(probs, gradient, ctx.like)
        return result, None, None


class _Run:
    """The launches of the kernels for one batch."""

    def __init__(self, like: Tensor, truth: Truth, terms: Terms):
        self.truth, self.terms, self.device = truth, terms, truth.labels.device
        self.count, self.classes, self.height, self.width = like.shape
        self.size = self.height * self.width
        self.tiles = triton.cdiv(self.size, BLOCK)
        self.grid = (self.count * self.tiles,)
        table = tables([*terms.xor, terms.matched, terms.found], self.device)
        self.edges, self.matched, self.found = table[:4], table[4], table[5]
        self.shape = self.classes, self.height, self.width
        self.constants = {"block": BLOCK, "num_warps": WARPS}
        self.of_curves = {**self.constants, "pieces": table.shape[1]}
        self.of_sets = {**self.of_curves, "larger": terms.larger, "word": ClassSets.WORD}

    def softmax(self, logits: Tensor) -> Tensor:
        probs = self.empty(self.count, self.classes, self.size)
        sizes = *logits.stride(), self.classes, self.size, self.tiles
        kernels.softmax_kernel[self.grid](logits, self.truth.valid, probs, *sizes, **self.constants)
        return probs

    def boundary(self, probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The boundary, the places of the lowest probabilities, and two sums (2, C)."""
        boundary, lowest = torch.empty_like(probs), torch.empty_like(probs, dtype=torch.int8)
        partial, sets = self.empty(*self.grid, 2, self.classes), self.truth.sets
        given = probs, sets, self.edges, self.matched
        kernels.boundary_kernel[self.grid](
            *given, boundary, lowest, partial, *self.shape, sets.shape[1], self.tiles, **self.of_sets
        )
        return boundary, lowest, partial.sum(dim=0, dtype=torch.float64).float()

    def highest(self, boundary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The highest boundary around each pixel of the true one, its place, and its sums (1, C)."""
        highest, partial = self.empty(self.count, self.size), self.empty(*self.grid, self.classes)
        source = torch.empty_like(highest, dtype=torch.int32)
        given = boundary, self.truth.labels, self.truth.edge, self.found
        kernels.highest_kernel[self.grid](
            *given, highest, source, partial, *self.shape, self.terms.side, self.tiles, **self.of_curves
        )
        return highest, source, partial.sum(dim=0, keepdim=True, dtype=torch.float64).float()

    def gradient(self, probs: Tensor, lowest: Tensor, highest: Tensor, source: Tensor, weights: Tensor) -> Tensor:
        """The gradient by the probabilities of the sums weighted by (3, C)."""
        result, (labels, _, _, sets) = torch.zeros_like(probs), self.truth
        given = probs, labels, self.edges, highest, source, self.found, lowest, weights[2]
        kernels.return_kernel[self.grid](*given, result, *self.shape, self.tiles, **self.of_curves)
        from_sets = probs, sets, self.edges, self.matched, lowest, weights
        kernels.slope_kernel[self.grid](*from_sets, result, *self.shape, sets.shape[1], self.tiles, **self.of_sets)
        return result

    def by_logits(self, probs: Tensor, gradient: Tensor, like: Tensor) -> Tensor:
        """The gradient by the logits, in the layout and type of `like`."""
        in_place = like.dtype == gradient.dtype and like.is_contiguous()
        result = gradient.view(like.shape) if in_place else torch.empty_like(like, device=self.device)
        sizes = *result.flatten(2).stride(), self.classes, self.size, self.tiles
        kernels.logits_kernel[self.grid](probs, gradient, result, *sizes, **self.constants)
        return result

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self.device)
