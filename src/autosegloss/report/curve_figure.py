"""Figure 2 of the paper, of any curve: its control points, and how one y leads to g(y)."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autosegloss.curves import Curve
from autosegloss.errors import InputError, is_number
from autosegloss.report.palette import BLUE, GREY, ORANGE, VERMILION

_FINE = 1001


def curve_figure(curve: Curve, y: float = 0.5, title: str = "") -> Figure:
    """Draw a curve with its control points, and for one y the segment that it lies in, its s and g(y).

    y = (1 - s)^2 u_0 + 2 s (1 - s) u_1 + s^2 u_2 gives s (eq. 13), and g(y) is the same sum of v_0, v_1, v_2. A line
    has its handle in the middle, so that its s is that of eq. 16. A family without quadratic pieces has no s.

    Args:
        curve: of any family.
        y: in [0, 1].
        title: of the figure.

    Raises:
        InputError: y is no number in [0, 1].

    Example:
        >>> from autosegloss.curves import Linear
        >>> family = Linear(pieces=2)
        >>> figure = curve_figure(Curve(family, family.control_points(family.identity())), y=0.25)
        >>> figure.axes[0].texts[-1].get_text()
        'y = 0.250\\ns = 0.500 of segment 1\\ng(y) = 0.250'
    """
    if not is_number(y) or not 0 <= y <= 1:
        raise InputError(f"y: expected a number in [0, 1], got {y!r}")
    figure = Figure(figsize=(4.6, 4.9), layout="constrained", facecolor="white")
    axes = figure.subplots()
    _draw_curve(axes, curve)
    g = curve(torch.tensor([y], dtype=torch.float64)).item()
    axes.plot([y, y, 0], [0, g, g], "--", color=VERMILION, lw=1.3)
    axes.plot([y], [g], "o", ms=7, color=VERMILION, zorder=5)
    corner = (0.97, 0.04, "right", "bottom") if g >= y else (0.04, 0.96, "left", "top")  # where the curve is not
    told = f"y = {y:.3f}\n{_place_of(curve, y)}g(y) = {g:.3f}"
    axes.text(*corner[:2], told, ha=corner[2], va=corner[3], transform=axes.transAxes, color=VERMILION, fontsize=10)
    low, high = min(0.0, *curve.points[:, 1].tolist()), max(1.0, *curve.points[:, 1].tolist())
    axes.set(xlim=(-0.04, 1.04), ylim=(low - 0.04, high + 0.04), aspect="equal")
    axes.set(xlabel="y", ylabel="g(y; θ)", title=title)
    axes.grid(color="#ececec", lw=0.8)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _draw_curve(axes: Axes, curve: Curve) -> None:
    """The curve, its segments in turn in two colours, and the control points with their numbers."""
    points = curve.points.numpy()
    axes.plot([0, 1], [0, 1], ":", color=GREY, lw=1, label="identity")
    fine = np.linspace(0, 1, _FINE)
    knots = _knots(curve)
    for number, (start, end) in enumerate(pairwise(knots)):
        part = np.concatenate([[start], fine[(fine > start) & (fine < end)], [end]])
        bent = curve(torch.as_tensor(part)).numpy()
        axes.plot(
            part,
            bent,
            color=(BLUE, ORANGE)[number % 2],
            lw=2.4,
            label=None if number > 1 else ("g(y; θ)", "next segment")[number],
        )
    axes.plot(*points.T, "o--", color=GREY, mfc="white", ms=6, lw=0.9, label="control points")
    for number, point in enumerate(points):
        axes.annotate(str(number), point, xytext=(5, -9), textcoords="offset points", fontsize=8, color=GREY)


def _knots(curve: Curve) -> list[float]:
    """Where the segments begin and end; those without a width are left out."""
    quadratic = curve.family.quadratic(curve.points)
    ends = [0.0, 1.0] if quadratic is None else quadratic[::2, 0].tolist()
    return list(dict.fromkeys(ends))


def _place_of(curve: Curve, y: float) -> str:
    """The segment that y lies in, and its s there, as a line; "" for a family without segments."""
    quadratic = curve.family.quadratic(curve.points)
    if quadratic is None:
        return ""
    ends = quadratic[::2, 0].tolist()
    segment = next(k for k, end in enumerate(ends[1:]) if y <= end and end > ends[k])
    start, handle, end = quadratic[2 * segment : 2 * segment + 3, 0].tolist()
    a, x = (handle - start) / (end - start), (y - start) / (end - start)
    s = x / (a + math.sqrt(a * a + (1 - 2 * a) * x)) if x else 0.0
    return f"s = {s:.3f} of segment {segment + 1}\n"
