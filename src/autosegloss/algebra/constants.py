"""Numbers on a device."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def constants(numbers: Sequence[float], like: Tensor) -> Tensor:
    """Numbers (K,) in the type and on the device of a tensor, copied there once: a copy waits for a GPU."""
    return _constants(tuple(numbers), like.dtype, like.device)


@lru_cache(maxsize=64)
def indices(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """Indices (K,) on a device, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(numbers, device=device)


@lru_cache(maxsize=64)
def _constants(numbers: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # they serve trainings, too
        return torch.tensor(numbers, dtype=dtype, device=device)
