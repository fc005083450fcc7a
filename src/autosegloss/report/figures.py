"""Figures of a search: its progress, the curves that it found, and the predictions of networks trained with them.

Each function returns a matplotlib Figure, which `save` writes; none of them changes matplotlib's global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autosegloss.report.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    class_legend,
    colour_labels,
    colour_layers,
    legend_rows,
)
from autosegloss.search import History

STYLES = ((BLUE, "-"), (VERMILION, "-"), (GREEN, "-."), (PURPLE, "-."), (ORANGE, ":"), (SKY, ":"))
DPI = 120


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a file and make the folders above it.

    Args:
        figure: any matplotlib figure.
        path: the file; its ending (.png, .svg, .pdf, ...) chooses the format.

    Returns:
        The path.

    Raises:
        OSError: the file cannot be written.
        ValueError: the ending is no format of matplotlib.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def search_figure(history: History, metric: str = "score") -> Figure:
    """Draw the score of every finished trial, and for each step the mean, the spread and the best so far.

    Args:
        history: the search; steps without a finished trial are left out.
        metric: the name of the searched metric.

    Returns:
        A figure with one panel: search steps to the right, scores in [0, 1] upwards.
    """
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


def best_so_far_figure(series: Mapping[str, Sequence[Sequence[float | None]]], title: str = "") -> Figure:
    """Draw how the best of searches rises, a line per search; searches of one kind share their colour.

    Args:
        series: {kind: for each search the highest score up to each step, in [0, 1], None before the first}.
        title: the line above the panel.

    Returns:
        A figure with one panel: search steps from 1 on to the right, percent upwards.
    """
    figure = _figure(6.6, 3.8)
    axes = figure.subplots()
    for (colour, style), (kind, searches) in zip(STYLES, series.items(), strict=False):
        for number, scores in enumerate(searches):
            percent = [np.nan if score is None else 100 * score for score in scores]
            label = "_" if number else f"{kind}, n = {len(searches)}"
            axes.plot(range(1, len(scores) + 1), percent, style, color=colour, lw=1.6, marker=".", label=label)
    _label(axes, "search step", "highest mean score so far (percent)")
    axes.set_title(title, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    axes.legend(loc="lower right", frameon=False, fontsize=8.5)
    return figure


Curves = Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
"""For each logical operation its curves by label, each as two arrays (n,): y and g(y), both in [0, 1]."""


def curves_figure(panels: Curves, points: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Draw the curves g(y; theta), one panel per logical operation, with the identity as reference.

    Args:
        panels: {operation: {label: (y, g)}}; a label keeps its colour from panel to panel.
        points: {operation: control points (K, 2)} of the first curve of that operation.

    Returns:
        A figure with len(panels) panels.
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
    ignore_index: int | None = 255,
) -> Figure:
    """Draw images beside label maps: a row per image, a column per label map, a legend of the classes.

    Args:
        images: RGB, (N, 3, H, W) uint8.
        columns: {title: labels (N, H, W)}; labels outside of [0, C) are grey, as ignored pixels are. Or (N, C, H, W)
            of any number of classes a pixel, whose colours are mixed; a pixel of no class is white.
        class_names: the C names of the classes.
        ignore_index: the label of ignored pixels, which the legend names if they occur; None names no such pixels.

    Returns:
        A figure with N rows and 1 + len(columns) columns of panels.
    """
    count, _, height, width = images.shape
    num_classes = len(class_names)
    painted = {title: _painted(np.asarray(labels), num_classes) for title, labels in columns.items()}
    columns_shown = {"image": images.transpose(0, 2, 3, 1), **painted}
    legend_height = 0.35 + 0.25 * legend_rows(num_classes)
    figure = _figure(1.45 * len(columns_shown), 1.45 * count * height / width + legend_height)
    grid = figure.subplots(count, len(columns_shown), squeeze=False)
    for column, (title, pictures) in zip(grid.T, columns_shown.items(), strict=True):
        column[0].set_title(title, fontsize=9.5)
        for axes, picture in zip(column, pictures, strict=True):
            axes.imshow(picture, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
    found = (np.asarray(labels) == ignore_index for labels in columns.values())
    ignored = ignore_index is not None and any(labels.any() for labels in found)
    class_legend(figure, class_names, bool(ignored))
    return figure


def _painted(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return (colour_labels if labels.ndim == 3 else colour_layers)(labels, num_classes)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
