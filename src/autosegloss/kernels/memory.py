"""Memory of the size of logits, and the parts of it that stay in a processor's caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_CPU_BLOCK, _GPU_BLOCK = 2**19, 2**24  # elements of the logits that are read at once
_LINE = 64  # bytes of a line of the caches
_CPU_PIXELS = 2**16  # pixels that are read at once, of few classes


def empty(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory; on a CPU numpy's, which asks Linux for large pages: a third of the time.

    It begins where a line of the caches does: vectors across two lines take twice as long.
    """
    if device.type == "cpu" and dtype in (torch.float32, torch.float64):
        spare = _LINE // dtype.itemsize
        memory = torch.from_numpy(np.empty(size + spare, np.float32 if dtype == torch.float32 else np.float64))
        return memory[-memory.data_ptr() % _LINE // dtype.itemsize :][:size]
    return torch.empty(size, dtype=dtype, device=device)


def empty_like(like: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory in the layout of a dense tensor."""
    strides = torch.empty_like(like, device="meta").stride()
    return empty(like.numel(), dtype, device).as_strided(like.shape, strides)


def zero_ignored_(probs: Tensor, valid: Tensor) -> None:
    """Set probabilities (n, C, p) to 0 where valid (n, 1 or C, p) does not hold, also those spoiled by a nan."""
    if probs.device.type != "cpu":
        probs.masked_fill_(~valid, 0)
    elif not np.all(valid.numpy()):  # few are ignored, and a mask takes many times as long
        if valid.shape[1] > 1:
            probs.view(-1).index_fill_(0, torch.from_numpy(np.flatnonzero(~valid.numpy())), 0)
            return
        for image, seen in zip(probs, valid, strict=True):
            image.index_fill_(1, torch.from_numpy(np.flatnonzero(~seen[0].numpy())), 0)


def as_numbers(mask: Tensor, buffer: Tensor) -> Tensor:
    """A bool mask as 0 and 1 in the memory of a buffer, a sixth of the time of torch's own conversion."""
    numbers = buffer.view(-1)[: mask.numel()].view(mask.shape)
    return numbers.copy_(mask.view(torch.int8))


class Block(NamedTuple):
    """Some pixels of some images, the place of their saved probabilities, and the shape (n, C, p) of these."""

    images: slice
    pixels: slice
    place: slice
    shape: tuple[int, int, int]

    def of(self, tensor: Tensor) -> Tensor:
        """A view of a tensor (N, ..., P)."""
        return tensor[self.images, ..., self.pixels]


def blocks(shape: torch.Size, device: torch.device) -> Iterator[Block]:
    """Several whole images, or parts of one; the same for the sums and for their gradient."""
    count, classes, size = shape
    on_cpu = device.type == "cpu"
    most = max(1, (_CPU_BLOCK if on_cpu else _GPU_BLOCK) // max(1, classes))
    most = min(most, _CPU_PIXELS) if on_cpu else most
    images, parts = max(1, most // max(1, size)), max(1, -(-size // most))
    pixels, begin = max(1, -(-size // parts)), 0
    for n in range(0, count, images):
        for p in range(0, size, pixels):
            block = (min(images, count - n), classes, min(pixels, size - p))
            end = begin + block[0] * block[1] * block[2]
            yield Block(slice(n, n + images), slice(p, p + pixels), slice(begin, end), block)
            begin = end


class Buffers:
    """Memory for the maps of a block, reused by every block: new pages cost more than the arithmetic."""

    def __init__(self, maps: int, logits: Tensor, dtype: torch.dtype, device: torch.device):
        largest = max((block.place.stop - block.place.start for block in blocks(logits.shape, device)), default=0)
        self._maps = empty(maps * largest, dtype, device).view(maps, largest)

    def like(self, block: Block) -> list[Tensor]:
        """Maps of the shape of the block."""
        size = block.place.stop - block.place.start
        return [m[:size].view(block.shape) for m in self._maps]
