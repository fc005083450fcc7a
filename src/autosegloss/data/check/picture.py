"""A picture of a few samples of a data set with their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from autosegloss.data.check.checks import CheckedSample, SplitReport
from autosegloss.data.datasets.source import Source
from autosegloss.data.transforms import as_rgb
from autosegloss.report import class_legend, colour_labels, colour_layers, legend_rows

ROWS = 6  # samples in the picture
NAME_LENGTH = 28  # characters of a sample's name
WIDTH = 2.6  # inches of a panel


def picture(reports: Sequence[SplitReport], source: Source) -> Figure | None:
    """Draw a few samples of every split: the image, the mask, and the mask over the image.

    Samples with classes that no earlier row shows come first. Ignored pixels are grey in the mask and transparent in
    the overlay, as pixels of no class are, which are white in the mask. Of images of more than three bands the first
    three are shown.

    Args:
        reports: the reports of the splits.
        source: the data set.

    Returns:
        A figure with 3 columns and at most 6 rows of panels; None if no sample can be shown.
    """
    rows = _chosen(reports, source.num_classes)
    if not rows:
        return None
    pairs = [row.sample.load() for _, row in rows]
    heights = [label.shape[-2] / label.shape[-1] for _, label in pairs]
    height = WIDTH * sum(heights) + 0.25 * len(rows) + 0.3 + 0.2 * legend_rows(source.num_classes)
    figure = Figure(figsize=(3 * WIDTH, height), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False, height_ratios=heights)
    for axes, (split, row), (image, label) in zip(grid, rows, pairs, strict=True):
        for panel, pixels in zip(axes, _panels(as_rgb(image).numpy(), label.numpy(), source.num_classes), strict=True):
            panel.imshow(pixels)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        axes[0].set_title(f"{split}: {row.sample.name.rsplit('/', 1)[-1][:NAME_LENGTH]}", fontsize=9)
    for panel, title in zip(grid[0][1:], ("mask", "overlay"), strict=True):
        panel.set_title(title, fontsize=9)
    class_legend(figure, source.class_names)
    return figure


def _chosen(reports: Sequence[SplitReport], num_classes: int) -> list[tuple[str, CheckedSample]]:
    """The rows of the picture as (split, sample), as many of each split."""
    usable = {report.split: [sample for sample in report.samples if not sample.fault] for report in reports}
    usable = {split: samples for split, samples in usable.items() if samples}
    return [
        (split, sample)
        for split, samples in usable.items()
        for sample in most_varied(samples, ROWS // len(usable), num_classes)
    ]


def most_varied(samples: Sequence[CheckedSample], count: int, num_classes: int) -> list[CheckedSample]:
    """Choose samples one by one, always the first with the most classes that the chosen ones lack.

    Args:
        samples: the candidates.
        count: how many to choose; fewer are returned if there are fewer candidates.
        num_classes: C, the number of classes.
    """
    left, shown = list(samples), np.zeros(num_classes, bool)
    chosen: list[CheckedSample] = []
    while left and len(chosen) < count:
        new = [int((sample.counts[:num_classes][~shown] > 0).sum()) for sample in left]
        best = int(np.argmax(new)) if max(new) else len(left) // 2  # no new class: take another part of the split
        chosen.append(left.pop(best))
        shown |= chosen[-1].counts[:num_classes] > 0
    return chosen


def _panels(image: np.ndarray, label: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB (H, W, 3) uint8 of the image, the mask, and the mask over the image."""
    exclusive = label.ndim == 2
    scene, mask = image.transpose(1, 2, 0), (colour_labels if exclusive else colour_layers)(label, num_classes)
    some = label < num_classes if exclusive else (label == 1).any(axis=0)
    blend = (0.45 * scene + 0.55 * mask).astype(np.uint8)
    return scene, mask, np.where(some[..., None], blend, scene)
