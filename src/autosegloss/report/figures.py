"""Pictures of a search: its progress, the curves it found, and what networks trained with them predict.

Each function returns a matplotlib Figure of its own, which `save` writes; no global state is touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from autosegloss.search import History

# Okabe & Ito, told apart by the colour-blind
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#8a8a8a"
STYLES = ((BLUE, "-"), (VERMILION, "-"), (GREEN, "-."), (PURPLE, "-."), (ORANGE, ":"), (SKY, ":"))
DPI = 120


def save(figure: Figure, path: str | Path) -> Path:
    """Write `figure` to `path` (the ending gives the format), making the folders above it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def search_figure(history: History, metric: str = "score") -> Figure:
    """The score of every finished trial, and per step their mean, their spread and the best so far."""
    figure = _figure(7.2, 4.2)
    axes = figure.subplots()
    steps = [step for step in history.steps if step.scores]
    index = np.array([step.index for step in steps])
    mean, std, best = np.array([(step.average, step.std, step.best) for step in steps]).reshape(-1, 3).T
    for step in steps:
        axes.plot([step.index] * len(step.scores), step.scores, "o", ms=3.5, mew=0, color=GREY, alpha=0.6)
    axes.fill_between(index, mean - std, mean + std, color=BLUE, alpha=0.15, lw=0, label="mean ± std")
    axes.plot(index, mean, "-o", ms=4.5, color=BLUE, lw=1.8, label="mean of the step")
    axes.plot(index, best, "^", ms=5, mew=0, color=GREEN, label="best of the step")
    axes.step(index, np.maximum.accumulate(best), where="post", color=VERMILION, lw=1.8, label="best so far")
    axes.plot([], [], "o", ms=3.5, mew=0, color=GREY, alpha=0.6, label="one trial")
    _label(axes, "search step", f"{metric} on the hold-out images")
    if steps:
        axes.set_xlim(index[0] - 0.5, index[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=8.5, handlelength=1.8)
    return figure


Curves = Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]


def curves_figure(panels: Curves, points: Mapping[str, np.ndarray] | None = None) -> Figure:
    """One panel per logical operation: its curves {label: (y, g(y))}, the identity, control points (K, 2).

    The points of an operation belong to its first curve.
    """
    figure = _figure(3.1 * len(panels) + 0.3, 3.6)
    grid = np.ravel(figure.subplots(1, len(panels)))
    colours = {label: STYLES[number % len(STYLES)] for number, label in enumerate(_labels(panels))}
    for axes, (operation, curves) in zip(grid, panels.items(), strict=True):
        axes.plot([0, 1], [0, 1], "--", color=GREY, lw=1.2, label="identity")
        for label, (y, g) in curves.items():
            axes.plot(y, g, colours[label][1], color=colours[label][0], lw=2.2, label=label)
        if points and operation in points:
            u, v = np.vstack([(0, 0), np.reshape(points[operation], (-1, 2)), (1, 1)]).T
            style = {"ms": 5, "lw": 0.9, "color": colours[next(iter(curves))][0], "mfc": "white"}
            axes.plot(u, v, "o:", markevery=slice(1, -1), label="control points", **style)
        _unit_square(axes, operation)
    legend = {line.get_label(): line for axes in grid for line in axes.lines}
    figure.legend(handles=list(legend.values()), loc="outside upper center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _labels(panels: Curves) -> list[str]:
    return list(dict.fromkeys(label for curves in panels.values() for label in curves))


def _unit_square(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11)
    _label(axes, "y", "g(y; θ)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.grid(color="#ececec", lw=0.8)


def samples_figure(
    images: np.ndarray,
    columns: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    ignore_index: int = 255,
) -> Figure:
    """A row per image (N, 3, H, W) uint8, a column per label map {title: (N, H, W)}, a legend of the classes.

    Labels outside [0, C) are grey, as ignored pixels are.
    """
    count, _, height, width = images.shape
    shown = {"image": images.transpose(0, 2, 3, 1)}
    shown |= {title: _coloured(np.asarray(labels), len(class_names)) for title, labels in columns.items()}
    ignored = any((np.asarray(labels) == ignore_index).any() for labels in columns.values())
    legend_rows = math.ceil((len(class_names) + 1) / 7)
    figure = _figure(1.45 * len(shown), 1.45 * count * height / width + 0.35 + 0.25 * legend_rows)
    grid = figure.subplots(count, len(shown), squeeze=False)
    for column, (title, pictures) in zip(grid.T, shown.items(), strict=True):
        column[0].set_title(title, fontsize=9.5)
        for axes, picture in zip(column, pictures, strict=True):
            axes.imshow(picture, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
    _class_legend(figure, class_names, ignored)
    return figure


def _class_legend(figure: Figure, class_names: Sequence[str], ignored: bool) -> None:
    names = [*class_names, "ignored"][: len(class_names) + ignored]
    colours = np.vstack([palette(len(class_names)), _VOID]) / 255
    patches = [Patch(color=tuple(colour), label=name) for colour, name in zip(colours, names, strict=False)]
    size = {"fontsize": 8, "handlelength": 1.0, "handleheight": 1.0, "columnspacing": 1.2}
    figure.legend(handles=patches, loc="outside lower center", ncols=min(7, len(patches)), frameon=False, **size)


_VOID = np.array([190, 190, 190], np.uint8)
_FIRST = ("#20242c", ORANGE, SKY, GREEN, "#F0E442", BLUE, VERMILION, PURPLE)


def palette(num_classes: int) -> np.ndarray:
    """A colour for each class, (C, 3) uint8: class 0 dark, seven of Okabe & Ito, then spaced hues."""
    first = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in _FIRST]
    rest = [
        tuple(round(255 * x) for x in hls_to_rgb(k * 0.618 % 1, (0.35, 0.55, 0.75)[k % 3], 0.6))
        for k in range(num_classes - len(first))
    ]
    return np.array((first + rest)[:num_classes], np.uint8)


def _coloured(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """(N, H, W) -> (N, H, W, 3) uint8."""
    inside = (labels >= 0) & (labels < num_classes)
    return np.where(inside[..., None], palette(num_classes)[np.where(inside, labels, 0)], _VOID)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
