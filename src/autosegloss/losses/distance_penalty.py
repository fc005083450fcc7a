"""Cross-entropy with larger weights near the boundaries of the ground truth."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from autosegloss.algebra.checks import check_ignore_index
from autosegloss.errors import not_installed
from autosegloss.losses.pixels import cross_entropy, exclusive_task, mean
from autosegloss.tasks import Task


class DistancePenalizedCrossEntropy(nn.Module):
    """Mean over the valid pixels of -(1 + phi) log p_y, where phi is the `closeness` to the boundaries.

    The distance transforms, one per class and image, run on the CPU; training on a GPU waits for them in every step.

    Args:
        ignore_index: the label of pixels to ignore; None counts all pixels.
        task: "multiclass", or "binary": two classes with the logits 0 and z.

    Raises:
        InputError: for another task, and without scipy, which computes the distances.

    Source: Caliva et al., 2019, arXiv 1908.03679.
    """

    def __init__(self, ignore_index: int | None = 255, task: str | Task = "multiclass"):
        super().__init__()
        if find_spec("scipy") is None:
            raise not_installed(type(self).__name__, "scipy", extra="train")
        self.ignore_index, self.task = check_ignore_index(ignore_index), exclusive_task("dpce", task)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits, labels = self.task.as_classes(logits, labels)
        losses, valid = cross_entropy(logits, labels, self.ignore_index)
        phi = torch.from_numpy(closeness(labels.cpu().numpy(), valid.cpu().numpy()))
        return mean((1 + phi.to(losses)) * losses, valid)

    def extra_repr(self) -> str:
        return f"ignore_index={self.ignore_index}"


def closeness(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The closeness of each pixel to the boundaries: 1 there, falling linearly with the distance.

    phi = 1 - (d - min d) / (max d - min d + 1), where d is the Euclidean distance in pixels to the nearest valid pixel
    of another class, and min and max run over the pixels of the same class in the same image. Objects of any size
    therefore reach from 1 to near 0. An image of a single class has no boundary and phi = 0.

    Args:
        labels: integers (N, *S).
        valid: bool (N, *S), False at ignored pixels.

    Returns:
        phi, float64 (N, *S) in [0, 1]; 0 at ignored pixels.
    """
    from scipy.ndimage import distance_transform_edt  # of the extra `train`; the other losses need torch only

    phi = np.zeros(labels.shape)
    for image, seen, weights in zip(labels, valid, phi, strict=True):
        classes = np.unique(image[seen])
        for c in classes if len(classes) > 1 else ():
            own = seen & (image == c)
            distance = distance_transform_edt(own | ~seen)[own]
            beyond = distance - distance.min()
            weights[own] = 1 - beyond / (beyond.max() + 1)
    return phi
