"""Min and max pooling of maps (N, C, *S) that know neither the image border nor ignored pixels.

Pooling is geodesic: only valid pixels inside the image take part, so that neither the border of the image nor that
of an ignored region makes a boundary. A cube is pooled one axis after the other, and a window of size k is put together
from windows of 1, 2, 4, ... pixels: the values are the same, in log2(k) comparisons per axis.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dilate(m: Tensor, size: int) -> Tensor:
    """MaxPool over a cube of odd side `size`, stride 1; m is bool, or float in [0, 1], and empty where ignored."""
    for axis in range(2, m.ndim):
        m = _running_max(m, size, axis)
    return m


def _running_max(m: Tensor, size: int, axis: int) -> Tensor:
    reach = size // 2
    m = F.pad(m, [0, 0] * (m.ndim - 1 - axis) + [reach, reach])  # the border adds nothing: m >= 0
    window = 1
    while window < size:
        shift = min(window, size - window)
        length = m.shape[axis] - shift
        m = torch.maximum(m.narrow(axis, 0, length), m.narrow(axis, shift, length))
        window += shift
    return m


def erode(m: Tensor, size: int, valid: Tensor) -> Tensor:
    """MinPool over a cube of odd side `size`, stride 1: the complement of the dilated complement within `valid`."""
    if m.is_floating_point():
        return 1 - dilate((1 - m) * valid, size)
    return ~dilate(~m & valid, size)
