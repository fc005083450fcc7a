"""Generated images for the examples: a background, many large squares, few small discs of nearly the same colour."""

from __future__ import annotations

import torch
from torch import Tensor

CLASSES = 3


def scenes(count: int, seed: int, size: int = 32) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) and labels (N, H, W); a frame of two pixels is 255, which does not count."""
    random = torch.Generator().manual_seed(seed)
    images = torch.empty(count, 3, size, size)
    labels = torch.zeros(count, size, size, dtype=torch.long)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    colours = torch.tensor([[0.3, 0.4, 0.5], [0.6, 0.5, 0.4], [0.6, 0.6, 0.4]])
    for image, label in zip(images, labels, strict=True):
        for kind in (1, 1, 1, 2):
            (cx, cy), radius = torch.rand(2, generator=random) * size, size / (7 if kind == 1 else 16)
            dx, dy = x - cx, y - cy
            near = dx.abs().maximum(dy.abs()) < radius if kind == 1 else dx**2 + dy**2 < radius**2
            label[near] = kind
        image.copy_(colours[label].movedim(-1, 0) + 0.15 * torch.randn(3, size, size, generator=random))
    labels[:, :2], labels[:, -2:], labels[..., :2], labels[..., -2:] = 255, 255, 255, 255
    return images, labels
