"""Memory and what is done in place of it, where the pages that a processor has to be given cost more than the work."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type of probabilities and sums for logits of `dtype`."""
    return torch.promote_types(dtype, torch.float32)


def widest(device: torch.device) -> torch.dtype:
    """The type in which sums are added up: one by one so many lose digits."""
    return torch.float64 if device.type in ("cpu", "cuda") else torch.float32


def fresh(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory that holds nothing yet. On a CPU it is numpy's, which asks Linux for large pages: a third of the time."""
    if device.type == "cpu" and dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.empty(size, np.float32 if dtype == torch.float32 else np.float64))
    return torch.empty(size, dtype=dtype, device=device)


def fresh_like(like: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Such memory in the layout of a dense tensor."""
    strides = torch.empty_like(like, device="meta").stride()
    return fresh(like.numel(), dtype, device).as_strided(like.shape, strides)


def clear(probs: Tensor, valid: Tensor) -> None:
    """Set probabilities (n, C, p) of ignored pixels to 0: not even a nan in their logits comes through."""
    if probs.device.type != "cpu":
        probs.masked_fill_(~valid.unsqueeze(1), 0)
        return
    if not valid.all():
        for image, seen in zip(probs, valid, strict=True):  # few are ignored, and a mask takes three times as long
            image.index_fill_(1, torch.from_numpy(np.flatnonzero(~seen.numpy())), 0)
