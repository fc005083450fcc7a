"""Min and max pooling of maps (N, C, *S) that know neither the image border nor ignored pixels.

Pooling is geodesic: only valid pixels inside the image take part, so that neither the border of the image nor that
of an ignored region makes a boundary. A window of size k is pooled one axis after the other, which gives the same values.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def dilate(m: Tensor, size: int) -> Tensor:
    """MaxPool over a cube of odd side `size`, stride 1; ignored pixels must be 0 in m; bool or float in [0,1]."""
    pool = {2: F.max_pool2d, 3: F.max_pool3d}[m.ndim - 2]
    pooled = m if m.is_floating_point() else m.float()
    for axis in range(m.ndim - 2):
        kernel = [1] * (m.ndim - 2)
        kernel[axis] = size
        pooled = pool(pooled, kernel, stride=1, padding=[k // 2 for k in kernel])
    return pooled if m.is_floating_point() else pooled.bool()


def erode(m: Tensor, size: int, valid: Tensor) -> Tensor:
    """MinPool over a cube of odd side `size`, stride 1: the complement of the dilated complement within `valid`."""
    if m.is_floating_point():
        return 1 - dilate((1 - m) * valid, size)
    return ~dilate(~m & valid, size)
