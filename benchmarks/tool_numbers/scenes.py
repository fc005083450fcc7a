"""Random masks: regions of four classes, predictions that resemble them, pixels to ignore, absent classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

CLASSES, IGNORE = 4, 255
IMAGES, HEIGHT, WIDTH = 3, 120, 160


class Scene(NamedTuple):
    """Predicted and true labels (N, H, W), int64; a label of 255 does not count."""

    preds: Tensor
    labels: Tensor

    @property
    def counts(self) -> Tensor:
        return self.labels != IGNORE

    def of(self, task: str, ignored: bool) -> Scene:
        """As masks of class 1 for a binary task; without pixels to ignore, which become class 0, unless `ignored`."""
        preds, labels = self
        if not ignored:
            labels = labels.where(self.counts, 0)
        if task == "binary":
            preds, labels = (preds == 1).long(), (labels == 1).long().where(labels != IGNORE, IGNORE)
        return Scene(preds, labels)


def scenes(count: int, seed: int) -> list[Scene]:
    """In every other scene class 3 is in no label, in every fourth it is predicted all the same."""
    random = np.random.default_rng(seed)
    return [_scene(random, n) for n in range(count)]


def _scene(random: np.random.Generator, n: int) -> Scene:
    shape = (CLASSES, IMAGES, HEIGHT, WIDTH)
    fields, others = (ndimage.gaussian_filter(random.normal(size=shape), (0, 0, 8, 8)) for _ in range(2))
    guesses = fields + 0.7 * others
    if n % 2:
        fields[3] = -np.inf
        guesses[3] = guesses[3] if n % 4 == 3 else -np.inf
    else:
        fields[3, 0] = guesses[3, 1] = -np.inf  # absent from one image
    labels, preds = (torch.from_numpy(values.argmax(0)) for values in (fields, guesses))
    labels[:, :4, : WIDTH // 2] = IGNORE
    return Scene(preds, labels)
