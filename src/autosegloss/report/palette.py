"""The colours of lines and classes in figures, and the legend of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from colorsys import hls_to_rgb

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

# The palette of Okabe and Ito (2008), which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
)
GREY = "#8a8a8a"
DARK = "#20242c"
FIRST_CLASSES = (DARK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE)
IGNORED = np.array([190, 190, 190], np.uint8)
NO_CLASS = np.array([255, 255, 255], np.uint8)
LEGEND_COLUMNS = 7


def palette(num_classes: int) -> np.ndarray:
    """One colour per class: class 0 is dark, seven colours of Okabe and Ito follow, then hues at equal distances.

    Args:
        num_classes: C, the number of classes.

    Returns:
        Array (C, 3) uint8, RGB.

    Example:
        >>> palette(2).tolist()
        [[32, 36, 44], [230, 159, 0]]
    """
    hues = range(num_classes - len(FIRST_CLASSES))
    rest = [hls_to_rgb(0.618 * number % 1, (0.35, 0.55, 0.75)[number % 3], 0.6) for number in hues]
    colours = [*map(to_rgb, FIRST_CLASSES), *rest][:num_classes]
    return np.round(255 * np.array(colours)).astype(np.uint8)


def colour_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Paint a label map with the palette; labels outside of [0, C) become the grey of ignored pixels.

    Args:
        labels: integers (..., H, W).
        num_classes: C, the number of classes.

    Returns:
        Array (..., H, W, 3) uint8, RGB.
    """
    is_class = (labels >= 0) & (labels < num_classes)
    return np.where(is_class[..., None], palette(num_classes)[np.where(is_class, labels, 0)], IGNORED)


def mixed_colours(layers: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean colour of the classes of each pixel.

    Args:
        layers: bool (..., C, H, W), where each class holds.
        colours: of the classes, (C, 3) uint8, RGB.

    Returns:
        Array (..., H, W, 3) uint8, RGB, and where any class holds, bool (..., H, W).
    """
    count = layers.sum(axis=-3)
    mixed = np.einsum("...chw,cd->...hwd", layers, colours.astype(np.float64)) / np.maximum(count, 1)[..., None]
    return mixed.astype(np.uint8), count > 0


def colour_layers(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Paint labels with any number of classes a pixel: their mean colour, or white for no class.

    Args:
        labels: integers (..., C, H, W): 1 where a class holds, 0 where it does not, another number where it is ignored;
            a pixel whose classes all are is grey.
        num_classes: C, the number of classes.

    Returns:
        Array (..., H, W, 3) uint8, RGB.
    """
    colours, some = mixed_colours(labels == 1, palette(num_classes))
    counts = ((labels == 0) | (labels == 1)).any(axis=-3)
    return np.where(some[..., None], colours, np.where(counts[..., None], NO_CLASS, IGNORED))


def class_legend(figure: Figure, class_names: Sequence[str], ignored: bool = True) -> None:
    """Add a legend of the classes below the axes of `figure`; `ignored` adds the grey of ignored pixels."""
    names = [*class_names, *(["ignored"] if ignored else [])]
    colours = np.vstack([palette(len(class_names)), IGNORED])[: len(names)] / 255
    patches = [Patch(color=tuple(colour), label=name) for colour, name in zip(colours, names, strict=True)]
    figure.legend(
        handles=patches,
        loc="outside lower center",
        ncols=min(LEGEND_COLUMNS, len(patches)),
        frameon=False,
        fontsize=8,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.2,
    )


def legend_rows(num_classes: int) -> int:
    """The number of rows that the legend of `num_classes` classes and the ignored pixels takes."""
    return math.ceil((num_classes + 1) / LEGEND_COLUMNS)
