"""Modules of Triton kernels, used where they run and give what the operations of torch give."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Check = Callable[[ModuleType, torch.device], None]
"""Raises an error if the kernels of a module do not run on a device, or give other results there."""


def readable(tensor: Tensor) -> bool:
    """Whether kernels can read a tensor: one on a GPU; with TRITON_INTERPRET=1, a slow test of them, any other, too."""
    return tensor.is_cuda or os.environ.get("TRITON_INTERPRET") == "1"


@cache
def kernels_on(device: torch.device, module: str, check: Check) -> ModuleType | None:
    """A module of kernels that passes its check on a device, else None and a warning; tried once.

    Triton may be missing, may not know the GPU, or find no C compiler for the launch of its kernels.
    """
    try:
        kernels = import_module(module)
        with torch.inference_mode(False), torch.enable_grad():
            check(kernels, device)
    except Exception as error:  # of any part of Triton; the operations of torch give the same
        log.warning(
            "without the Triton kernels of %s on %s, which is slower: %s: %s",
            module.rpartition(".")[2], device, type(error).__name__, error,
        )  # fmt: skip
        return None
    return kernels


def check_close(what: str, ours: Tensor, theirs: Tensor) -> None:
    """Raise RuntimeError if results of kernels differ from those of torch by more than rounding."""
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
        raise RuntimeError(f"{what} differ by {(ours - theirs).abs().max().item():.1e} from those of torch")
