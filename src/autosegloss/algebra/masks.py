"""Masks: bool tensors, and what numpy finds in them in a fraction of the time of torch on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from autosegloss.transforms import traced


def masked(m: Tensor, mask: Tensor) -> Tensor:
    """A map (N, C, *S), bool or floating point, empty outside of mask (N, 1, *S), bool; the map itself if it is so."""
    if everywhere(mask):
        return m
    return m & mask if m.dtype == torch.bool else m * numbers(mask, m.dtype)  # times bool takes five times as long


def numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask as 0 and 1 of a type, in a sixth of the time of torch's own conversion."""
    return mask.view(torch.int8).to(dtype)


def equal(m: Tensor, number: float) -> Tensor:
    """Where a tensor is a number: bool. numpy takes a tenth of the time of torch; it has no bfloat16."""
    if not _numpy_reads(m) or m.dtype == torch.bfloat16:
        return m == number
    return torch.from_numpy(np.equal(m.numpy(), number))


def holds(m: Tensor) -> bool:
    """Whether a bool tensor holds anywhere."""
    return bool(np.count_nonzero(m.numpy())) if _numpy_reads(m) else bool(m.any())


def everywhere(m: Tensor) -> bool:
    """Whether a CPU sees that a bool tensor holds everywhere; False where the values cannot be read, or not at once."""
    return _numpy_reads(m) and bool(np.all(m.numpy()))


def count(m: Tensor) -> Tensor:
    """How often a bool tensor (N, C, *S) holds for each class: (C,), int64; a sum takes ten times as long on a CPU."""
    if not _numpy_reads(m):
        return m.sum(dim=(0, *range(2, m.ndim)))
    counts = [[np.count_nonzero(plane) for plane in image] for image in m.numpy()]
    return torch.tensor(counts, dtype=torch.long).view(m.shape[:2]).sum(dim=0)


def _numpy_reads(m: Tensor) -> bool:
    return m.device.type == "cpu" and not traced()
