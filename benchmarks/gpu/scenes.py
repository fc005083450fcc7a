"""Random batches: logits and labels, in several layouts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

IGNORE = 1000
"""A label that is no class, however many there are; the scenes of timed losses use 255, as trainings do."""

LAYOUTS = ("contiguous", "channels_last", "view")


def random_batch(shape: Sequence[int], ignored: float, seed: int, ignore: int = IGNORE) -> tuple[Tensor, Tensor]:
    """Logits (N, C, *S), float32, and labels (N, *S), int64, in blocks of some pixels; a share of them is ignored."""
    generator = torch.Generator().manual_seed(seed)
    count, classes, *sizes = shape
    side = 4 if min(sizes) < 100 else 16
    labels = torch.randint(classes, (count, *(-(-size // side) for size in sizes)), generator=generator)
    for axis, size in enumerate(sizes, 1):
        labels = labels.repeat_interleave(side, axis).narrow(axis, 0, size)
    labels = labels.contiguous()
    noise = torch.rand(labels.shape, generator=generator)
    logits = 2 * torch.randn(*shape, generator=generator)
    logits += 2 * (
        torch.arange(classes).view(-1, *[1] * len(sizes)) == labels.unsqueeze(1)
    )  # right more often than not
    return logits, labels.masked_fill_(noise < ignored, ignore)


def laid_out(values: Tensor, layout: str) -> Tensor:
    """A copy of values (N, C, *S) in a layout of memory; "view" is every second image and some of the channels."""
    if layout == "channels_last":
        return values.contiguous(memory_format=torch.channels_last if values.ndim == 4 else torch.channels_last_3d)
    if layout == "view":
        large = values.new_zeros(2 * values.shape[0], values.shape[1] + 3, *values.shape[2:])
        part = large[::2, 2:-1]
        part.copy_(values)
        return part
    return values.clone(memory_format=torch.contiguous_format)
