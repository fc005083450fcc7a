"""Masks of images of any size, whole or in windows, in memory that does not grow with the height of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosegloss.data.memory import Resize
from autosegloss.data.transforms import normalise
from autosegloss.errors import InputError
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.module import logits_of

_TOGETHER = 2**20  # pixels whose logits are scaled at once
_MULTICLASS = Multiclass()


@dataclass(frozen=True)
class Predictor:
    """Predicts the classes of images.

    Args:
        network: images (1, B, H, W), normalised -> logits (1, C, H, W), C <= 256; on `device`.
        device: where the network computes.
        resize: what images are resized by, whole, before the network sees them; None keeps their size.
        window: pixels of a side of a sliding window over what the network sees; 0 takes it whole.
        overlap: of neighbouring windows, a share of their side in [0, 1). Where windows overlap their logits are
            averaged, those near the middle of a window with more weight.
        flip: average the logits of an image and of its mirror image.
        task: what the logits mean.

    Raises:
        InputError: `window` or `overlap` is out of range.
    """

    network: nn.Module
    device: torch.device
    resize: Resize | None = None
    window: int = 0
    overlap: float = 0.5
    flip: bool = False
    task: Task = _MULTICLASS

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap: expected a share of a window from 0 to below 1, got {self.overlap}")
        if self.window < 0 or 0 < self.window < 32:
            raise InputError(f"window: expected 32 pixels or more, or 0 for the whole image, got {self.window}")

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """The classes uint8 (H, W) of an image (B, H, W), uint8 or float32 on the scale 0..255; of a task whose classes
        do not exclude each other (C, H, W) of 0 and 1."""
        seen = self.resize.uncut(image) if self.resize else image
        bands = sliding_logits(self._logits, seen, self.window, self.overlap) if self.window else [self._logits(seen)]
        if seen.shape == image.shape:
            return torch.cat([_labels(band, self.task) for band in bands], dim=-2)
        return scaled_labels(torch.cat(list(bands), dim=1), (image.shape[1], image.shape[2]), self.task)

    def _logits(self, part: Tensor) -> Tensor:
        """Logits float32 (C, H, W) of a part (B, H, W) of an image."""
        images = normalise(part[None].to(self.device))
        logits = logits_of(self.network, images).float()
        if self.flip:
            logits = (logits + logits_of(self.network, images.flip(-1)).float().flip(-1)) / 2
        return logits[0]


def sliding_logits(logits: Callable[[Tensor], Tensor], image: Tensor, window: int, overlap: float) -> Iterator[Tensor]:
    """Logits of an image in bands (C, rows, W) from top to bottom, each the weighted mean of the windows that show it.

    Args:
        logits: (C, h, w) of a window (B, h, w).
        image: (B, H, W).
        window: pixels of a side.
        overlap: of neighbouring windows, a share of their side.
    """
    height, width = image.shape[1:]
    size, stride = (min(window, height), min(window, width)), max(1, round(window * (1 - overlap)))
    tops, lefts = _starts(height, size[0], stride), _starts(width, size[1], stride)
    weight = _weight(size[0])[:, None] * _weight(size[1])
    total = weights = torch.empty(0)
    for top, following in zip(tops, [*tops[1:], height], strict=True):
        for left in lefts:
            found = logits(image[:, top : top + size[0], left : left + size[1]])
            if not total.numel():
                total = found.new_zeros(len(found), size[0], width)
                weights, weight = found.new_zeros(size[0], width), weight.to(found.device)
            total[..., left : left + size[1]] += found * weight
            weights[:, left : left + size[1]] += weight
        done = following - top
        yield total[:, :done] / weights[:done]
        for sums in (total, weights):
            _scroll(sums, done)


def _scroll(sums: Tensor, rows: int) -> None:
    """Move sums (..., H, W) up by some rows, in their place; zeros follow."""
    kept = sums.shape[-2] - rows
    sums[..., :kept, :] = sums[..., rows:, :].clone()
    sums[..., kept:, :] = 0


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin so that they cover `length` pixels; the last ends with them."""
    return [*range(0, length - window, stride), length - window]


def _weight(size: int) -> Tensor:
    """Weights (size,) of the pixels of a window, which fall in a line from the middle to the edges."""
    place = torch.arange(size)
    return torch.minimum(place + 1, size - place).float() / size


def _labels(logits: Tensor, task: Task) -> Tensor:
    """The labels uint8 (H, W), or (C, H, W), of logits (C, H, W)."""
    return task.predicted(logits[None])[0].to(torch.uint8).cpu()


def scaled_labels(logits: Tensor, size: tuple[int, int], task: Task = _MULTICLASS) -> Tensor:
    """The labels uint8 (H', W'), or (C, H', W'), of logits (C, H, W) scaled to `size` (H', W').

    They are computed a few rows at a time.     The same as `autosegloss.training.module.predicted`, up to rounding.
    """
    height, (rows, columns) = logits.shape[1], size
    place = ((torch.arange(rows, device=logits.device) + 0.5) * height / rows - 0.5).clamp(min=0)
    upper = place.long().clamp(max=height - 1)
    lower, share = (upper + 1).clamp(max=height - 1), (place - upper).float()[:, None]
    labels = []
    for few in torch.arange(rows, device=logits.device).split(max(1, _TOGETHER // columns)):
        band = logits[:, upper[few]] * (1 - share[few]) + logits[:, lower[few]] * share[few]
        band = F.interpolate(band[None], (len(few), columns), mode="bilinear", align_corners=False)[0]
        labels.append(_labels(band, task))
    return torch.cat(labels, dim=-2)
