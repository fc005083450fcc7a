"""Figures of an evaluation: the confusion of classes, the reliability of probabilities, the worst images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from autosegloss.data.transforms import as_rgb
from autosegloss.evaluation.calibration import BINS, Calibration
from autosegloss.evaluation.measure import Judged
from autosegloss.report.palette import BLUE, GREY, class_legend, colour_labels, legend_rows

NUMBERED = 25  # classes up to which a cell has room for its number
WIDTH = 2.6  # inches of a panel
NAME_LENGTH = 30  # characters of an image's name


def confusion_figure(confusion: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: the share of the pixels of each true class (row) that are given to each class (column).

    Args:
        confusion: int64 (C, C), pixels by true and predicted class.
        class_names: C names.
    """
    shares = 100 * (confusion.double() / confusion.sum(dim=1, keepdim=True)).numpy()  # a class without pixels: nan
    count = len(class_names)
    size = max(3.6, 1.6 + 0.42 * min(count, 2 * NUMBERED))
    figure = Figure(figsize=(size + 0.9, size), layout="constrained", facecolor="white")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    small = 9 if count <= NUMBERED else 6
    axes.set_xticks(range(count), class_names, rotation=45, ha="right", rotation_mode="anchor", fontsize=small)
    axes.set_yticks(range(count), class_names, fontsize=small)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if count <= NUMBERED:
        for row, column in np.argwhere(shares >= 0.5):
            colour = "white" if shares[row, column] > 55 else "black"
            axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
    bar.set_label("% of the true class", fontsize=9)
    return figure


def reliability_figure(calibration: Calibration) -> Figure:
    """Draw the accuracy of each bin of confidence, and the share of the pixels in it."""
    figure = Figure(figsize=(4.2, 4.6), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    middles, width = (np.arange(BINS) + 0.5) / BINS, 1 / BINS
    filled = (calibration.count > 0).numpy()
    accuracy = (calibration.right / calibration.count).numpy()[filled]
    confidence = (calibration.confidence / calibration.count).numpy()[filled]
    upper.plot([0, 1], [0, 1], "--", color=GREY, lw=1.2, label="perfect")
    upper.bar(middles[filled], accuracy, 0.9 * width, color=BLUE, alpha=0.35, label="accuracy of the bin")
    upper.plot(confidence, accuracy, "o-", ms=4, lw=1.2, color=BLUE, label="at its mean confidence")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title=f"ECE {100 * calibration.error:.1f} %")
    upper.legend(frameon=False, fontsize=8.5, loc="upper left")
    lower.bar(middles, 100 * (calibration.count / calibration.count.sum()).numpy(), 0.9 * width, color=GREY)
    lower.set(xlabel="confidence", ylabel="% of pixels")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def worst_figure(images: Sequence[Judged], titles: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw images beside their truth and their prediction, a row each; without pictures two columns.

    Args:
        images: a few images.
        titles: one per image.
        class_names: C names.
    """
    pictured = all(image.load for image in images)
    columns = ["image", "truth", "prediction"][0 if pictured else 1 :]
    heights = [image.truth.shape[1] / image.truth.shape[2] for image in images]
    height = WIDTH * sum(heights) + 0.3 * len(images) + 0.5 + 0.2 * legend_rows(len(class_names))
    figure = Figure(figsize=(len(columns) * WIDTH, height), layout="constrained", facecolor="white")
    grid = figure.subplots(len(images), len(columns), squeeze=False, height_ratios=heights)
    for axes, image, title in zip(grid, images, titles, strict=True):
        labels = [colour_labels(label[0].numpy(), len(class_names)) for label in (image.truth, image.predicted)]
        scene = [as_rgb(image.load()).permute(1, 2, 0).numpy()] if pictured and image.load else []
        for panel, pixels in zip(axes, [*scene, *labels], strict=True):
            panel.imshow(pixels, interpolation="nearest")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        axes[0].set_title(title[-NAME_LENGTH:], fontsize=8.5, loc="left")
    for panel, column in zip(grid[-1], columns, strict=True):
        panel.set_xlabel(column, fontsize=9)
    ignored = any(bool((image.truth >= len(class_names)).any()) for image in images)
    class_legend(figure, class_names, ignored)
    return figure


def most_confused(confusion: Tensor, class_names: Sequence[str], count: int) -> list[tuple[str, str, int]]:
    """The largest cells off the diagonal as (true, predicted, pixels), the largest first."""
    off = confusion.clone().fill_diagonal_(0)
    order = torch.argsort(off.flatten(), descending=True, stable=True)[:count].tolist()
    cells = [divmod(cell, len(class_names)) for cell in order]
    return [(class_names[t], class_names[p], int(off[t, p])) for t, p in cells if off[t, p] > 0]
