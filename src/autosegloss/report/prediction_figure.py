"""Figures 4 to 6 of the paper, of any finished runs: images, the truth, and what each network predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from autosegloss.data.transforms import as_rgb, denormalise
from autosegloss.errors import InputError, is_whole
from autosegloss.report.figures import samples_figure
from autosegloss.training.module import logits_of, predicted
from autosegloss.training.trained import TrainedRun


def prediction_figure(runs: Mapping[str, TrainedRun], images: Sequence[int] | None = None, zoom: int = 0) -> Figure:
    """Draw images to validate on, a row each: the image, the truth, and a column for each run.

    Args:
        runs: {title: run} on the same data.
        images: their places in the first batch to validate on; None takes the first three.
        zoom: pixels of a side of a window to draw in the place of the whole image: the one where the predictions of
            the runs, or that of one run and the truth, differ most within 3 pixels of true edges; 0 draws the whole.

    Raises:
        InputError: the runs have other data or another task, there is no such image, or the window is larger than it.
    """
    first = next(iter(runs.values()))
    if other := next((name for name, run in runs.items() if run.config.data.source != first.config.data.source), None):
        raise InputError(f"figure: expected runs on the same data, got others for '{other}': draw them by themselves")
    data = first.data()
    batch, labels = next(iter(data.val_dataloader()))[0]  # the first of one size
    images = list(range(min(3, len(batch)))) if images is None else images
    places = images if isinstance(images, Sequence) and not isinstance(images, str) else ()
    if not places or not all(is_whole(place, least=0) and place < len(batch) for place in places):
        raise InputError(f"images: expected a list of places from 0 to {len(batch) - 1}, as [0,2], got {images}")
    batch, labels = batch[list(images)], labels[list(images)]
    maps = {"ground truth": labels}
    for name, run in runs.items():
        network = run.network(data.num_classes, data.source.channels)
        with torch.inference_mode():
            maps[name] = predicted(logits_of(network, batch), labels.shape[-2:], run.task)
    pixels = F.interpolate(as_rgb(denormalise(batch)).float(), labels.shape[-2:], mode="nearest").byte()
    if zoom:
        pixels, maps = _zoomed(pixels, maps, zoom)
    columns = {name: each.numpy() for name, each in maps.items()}
    return samples_figure(pixels.numpy(), columns, data.class_names, data.ignore_index)


def _zoomed(pixels: Tensor, maps: Mapping[str, Tensor], side: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The windows where predictions differ most at true edges, of images (N, 3, H, W) and maps (N, ..., H, W)."""
    truth, *found = maps.values()
    height, width = truth.shape[-2:]
    if side > min(height, width):
        raise InputError(f"zoom: expected {min(height, width)} pixels at most, the smaller side, got {side}")
    differ = torch.stack([other != found[0] for other in found[1:] or [truth]]).any(dim=0) & _edges(truth)
    differ = differ.reshape(len(truth), -1, height, width).any(dim=1, keepdim=True)  # in any class
    counts = F.avg_pool2d(differ.double(), side, stride=1).flatten(1)
    tops, lefts = counts.argmax(dim=1) // (width - side + 1), counts.argmax(dim=1) % (width - side + 1)

    def cut(each: Tensor) -> Tensor:
        windows = zip(each, tops.tolist(), lefts.tolist(), strict=True)
        return torch.stack([part[..., top : top + side, left : left + side] for part, top, left in windows])

    return cut(pixels), {name: cut(each) for name, each in maps.items()}


def _edges(labels: Tensor, reach: int = 3) -> Tensor:
    """The pixels with another label within `reach` pixels of them, of labels (N, H, W) or (N, C, H, W)."""
    highest, lowest = (F.max_pool2d(each, 2 * reach + 1, 1, reach) for each in (labels.double(), -labels.double()))
    return highest != -lowest
