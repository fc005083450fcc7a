"""Sums over the processes of torch.distributed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

SYNC_TIMEOUT = timedelta(minutes=10)
"""The time after which a sum over processes ends in an error; NCCL ends it by the timeout of the process group."""


def several_processes() -> bool:
    """Whether this process is one of those of torch.distributed."""
    return dist.is_available() and dist.is_initialized()


class SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over the processes of torch.distributed; its gradient is the sum of the gradients.

    The same function in torch.distributed.nn is deprecated, and what takes its place is private.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        try:
            dist.all_reduce(value, async_op=True).wait(SYNC_TIMEOUT)
        except RuntimeError as error:
            raise RuntimeError(
                f"sync_statistics: the sum over the processes failed or took more than {SYNC_TIMEOUT}: each process "
                "must call the loss equally often; under Join, or on one rank alone, use sync_statistics=False"
            ) from error
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return SumOverProcesses.apply(gradient)
