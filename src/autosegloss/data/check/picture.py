"""A few samples of a data set with their masks, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from autosegloss.data.check.checks import Seen, SplitReport
from autosegloss.data.datasets.source import Source
from autosegloss.report import palette

ROWS = 6  # samples in the picture
SHOWN = 28  # characters of a name
VOID = np.array([190, 190, 190], np.uint8)  # as in the other figures


def picture(reports: Sequence[SplitReport], source: Source) -> Figure | None:
    """A few samples of every split: image, mask, and the mask over the image. None if none can be shown.

    Those are taken first that show classes not shown yet; ignored pixels are grey, and left clear in the overlay.
    """
    usable = {report.split: [one for one in report.seen if not one.fault] for report in reports}
    usable = {split: seen for split, seen in usable.items() if seen}
    if not usable:
        return None
    rows = [(split, one) for split, seen in usable.items() for one in varied(seen, ROWS // len(usable), source)]
    pairs = [one.sample.load() for _, one in rows]
    heights = [label.shape[0] / label.shape[1] for _, label in pairs]
    width, legend = 2.6, 0.3 + 0.2 * math.ceil((source.num_classes + 1) / 7)
    figure = Figure(figsize=(3 * width, width * sum(heights) + 0.25 * len(rows) + legend), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), 3, squeeze=False, height_ratios=heights)
    for axes, (split, one), (image, label) in zip(grid, rows, pairs, strict=True):
        for panel, shown in zip(axes, _panels(image.numpy(), label.numpy(), source), strict=True):
            panel.imshow(shown)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        axes[0].set_title(f"{split}: {one.sample.name.rsplit('/', 1)[-1][:SHOWN]}", fontsize=9)
    for panel, title in zip(grid[0][1:], ("mask", "overlay"), strict=True):
        panel.set_title(title, fontsize=9)
    _legend(figure, source)
    return figure


def varied(seen: Sequence[Seen], count: int, source: Source) -> list[Seen]:
    """`count` samples, each the first that shows most of the classes that those before it do not show."""
    left, shown, chosen = list(seen), np.zeros(source.num_classes, bool), []
    while left and len(chosen) < count:
        new = [int((one.counts[: source.num_classes][~shown] > 0).sum()) for one in left]
        best = int(np.argmax(new)) if max(new) else len(left) // 2  # nothing new: one from elsewhere in the split
        chosen.append(left.pop(best))
        shown |= chosen[-1].counts[: source.num_classes] > 0
    return chosen


def _panels(image: np.ndarray, label: np.ndarray, source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB (H, W, 3) uint8 of the image, the mask, and both."""
    colours = np.tile(VOID, (256, 1))
    colours[: source.num_classes] = palette(source.num_classes)
    scene, mask = image.transpose(1, 2, 0), colours[label]
    blend = (0.45 * scene + 0.55 * mask).astype(np.uint8)
    return scene, mask, np.where((label < source.num_classes)[..., None], blend, scene)


def _legend(figure: Figure, source: Source) -> None:
    names = [*source.class_names, "ignored"]
    colours = np.vstack([palette(source.num_classes), VOID]) / 255
    patches = [Patch(color=tuple(colour), label=name) for colour, name in zip(colours, names, strict=True)]
    size = {"fontsize": 8, "handlelength": 1.0, "handleheight": 1.0, "columnspacing": 1.2}
    figure.legend(handles=patches, loc="outside lower center", ncols=min(7, len(patches)), frameon=False, **size)
