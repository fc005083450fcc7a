"""A figure of a recommendation: how far each loss is ahead of the simplest one, and how sure that is."""

from __future__ import annotations

from matplotlib.figure import Figure

from autosegloss.ranking import Verdict
from autosegloss.report.palette import BLUE, GREY


def gains_figure(verdict: Verdict) -> Figure:
    """Draw the difference of each candidate to the baseline on the split of the table, with its interval.

    The recommended loss is blue; a candidate with one seed, whose interval is over images alone, has an open mark.
    """
    target, base = verdict.contest.target, verdict.contest.baseline
    standings = verdict.splits[verdict.table]
    figure = Figure(figsize=(6.4, 1.1 + 0.38 * len(standings)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.axvline(0, color="#c0c0c0", lw=0.8)
    for place, (name, standing) in enumerate(standings.items()):
        gain = standing.differences[target]
        colour = BLUE if name == verdict.recommendation.name else GREY
        axes.plot([100 * gain.low, 100 * gain.high], [place, place], "-", color=colour, lw=2, solid_capstyle="butt")
        face = colour if standing.seeds > 1 else "white"
        axes.plot(100 * gain.value, place, "D", ms=6, color=colour, markerfacecolor=face)
    axes.set_yticks(range(len(standings)), list(standings), fontsize=9)
    axes.set_ylim(len(standings) - 0.5, -0.5)
    axes.set_xlabel(f"points of {target} more than {base}, {verdict.table} split; 95 % interval", fontsize=9)
    axes.grid(axis="x", color="#e6e6e6", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
