"""Structural similarity of the probabilities and the ground truth."""

from __future__ import annotations

from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from autosegloss.algebra.checks import check_ignore_index, check_tensors
from autosegloss.algebra.inputs import full_precision, label_map, without_ignored
from autosegloss.errors import InputError
from autosegloss.losses.pixels import exclusive_task, masked
from autosegloss.tasks import Task

RADIUS = 5  # of the 11x11 window, in pixels


class SSIMLoss(nn.Module):
    """1 - mean over classes and valid pixels of SSIM(p_c, y_c), in [0, 2].

    SSIM = (2 mu_p mu_y + C1) (2 s_py + C2) / ((mu_p^2 + mu_y^2 + C1) (s_p^2 + s_y^2 + C2)) of the probabilities p_c
    and the one-hot labels y_c, with means and (co)variances in a Gaussian 11x11 window of sigma 1.5, C1 = 0.01^2 and
    C2 = 0.03^2. Both maps are 0 at ignored pixels and reflected at the border of the image: so the pixels at its edge
    count otherwise if it is padded by ignored pixels.

    Args:
        ignore_index: the label of pixels to ignore; None counts all pixels. The id of a class leaves the class out.
        task: "multiclass", or "binary": two classes with the logits 0 and z.

    Raises:
        InputError: for another task, and when called with images of 5 pixels or less per side.

    Source: Qin et al., 2019, BASNet.
    """

    def __init__(self, ignore_index: int | None = 255, task: str | Task = "multiclass"):
        super().__init__()
        self.ignore_index, self.task = check_ignore_index(ignore_index), exclusive_task("ssim", task)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        check_tensors(logits, labels)
        with full_precision(logits.device):
            logits, labels = self.task.as_classes(logits, labels)
            logits, _ = masked(logits, labels, self.ignore_index)
            true = label_map(labels, logits.shape[1], self.ignore_index)
            if min(size := tuple(logits.shape[2:])) <= RADIUS:
                raise InputError(f"SSIM needs images of {RADIUS + 1} pixels a side or more, got {size}")
            # Variances are small differences. GPUs convolve channels_last maps in TF32, which is too coarse for them.
            probs = without_ignored(logits.softmax(dim=1) * true.mask, self.ignore_index, axis=1).contiguous()
            truth = without_ignored(true.dense().to(probs), self.ignore_index, axis=1)
            _, similarity = structural_similarity_index_measure(
                probs, truth, sigma=1.5, data_range=1.0, reduction="none", return_full_image=True
            )
            pixels = true.mask.sum().clamp_min(1) * probs.shape[1]
            return ((1 - similarity) * true.mask).sum() / pixels

    def extra_repr(self) -> str:
        return f"ignore_index={self.ignore_index}"
