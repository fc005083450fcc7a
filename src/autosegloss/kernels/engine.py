"""Who computes the sums: Triton kernels on a GPU, where they run; else the operations of torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from autosegloss.kernels.blocks import BlockReduction
from autosegloss.kernels.terms import Term

log = logging.getLogger(__name__)


def reduced(logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[Term]) -> Tensor:
    """The sums (K, C) of the terms, differentiable by the logits (N, C, P)."""
    if logits.is_cuda:
        kernels = _kernels(logits.device)
        if kernels is not None and kernels.fits(logits, terms):
            return kernels.KernelReduction.apply(logits, labels, valid, terms)
    keep = torch.is_grad_enabled() and logits.requires_grad
    return BlockReduction.apply(logits, labels, valid, terms, keep)


@cache
def _kernels(device: torch.device):
    """The module of the kernels, if they run on this device: tried once, since the reasons why not are many.

    Triton may be missing, may not know the GPU, or find no C compiler for what launches its kernels.
    """
    try:
        from autosegloss.kernels import triton_kernels as kernels

        kernels.try_on(device)
    except Exception as error:  # of whichever of Triton's parts; the operations of torch give the same sums
        log.warning("losses run without Triton kernels on %s, slower: %s: %s", device, type(error).__name__, error)
        return None
    return kernels
