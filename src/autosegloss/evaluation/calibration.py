"""Calibration: whether pixels that are predicted with 80 % confidence are right in 80 % of the cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15  # of equal width


@dataclass(frozen=True)
class Calibration:
    """Sums over pixels in bins of equal width of the confidence, the probability of the most probable class.

    Args:
        count: (BINS,), the pixels in each bin.
        right: (BINS,), those of them whose most probable class is the true one.
        confidence: (BINS,), the sum of their confidences.
    """

    count: Tensor
    right: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, ignore_index: int | None) -> Calibration:
        """The sums of logits (N, C, H, W), C > 1, at labels (N, H, W); ignored pixels count for nothing."""
        confidence, chosen = torch.softmax(logits.float(), dim=1).max(dim=1)
        valid = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
        sure, right = confidence[valid].double().cpu(), (chosen == labels)[valid].double().cpu()
        bins = (sure * BINS).long().clamp(max=BINS - 1)  # a confidence of 1 belongs to the last
        sums = [torch.bincount(bins, weights, minlength=BINS) for weights in (torch.ones_like(sure), right, sure)]
        return cls(*sums)

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(self.count + other.count, self.right + other.right, self.confidence + other.confidence)

    @property
    def error(self) -> float:
        """The expected calibration error: mean over pixels of |accuracy - mean confidence| of the bin; nan of none."""
        return float((self.right - self.confidence).abs().sum() / self.count.sum())
