"""The files that a search leaves about the losses that it has compared: recommendation.json, a table and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosegloss.files import write_whole
from autosegloss.ranking import Mean, Verdict
from autosegloss.ranking.evidence import HOLDOUT, TEST, VAL
from autosegloss.report.figures import save
from autosegloss.report.gains import gains_figure
from autosegloss.report.text_table import TextTable

RECOMMENDATION = "recommendation.json"
_TITLES = {HOLDOUT: "Hold-out", VAL: "Validation", TEST: "Test"}
_SEEN = "These images have chosen the recommended loss; there is no validation split that no choice has seen."


def write_recommendation(
    directory: Path, budgets: Mapping[int, Verdict], scales: Mapping[str, float], at: str
) -> list[TextTable]:
    """Write recommendation.json, comparison.md and comparison.png.

    Args:
        directory: The folder of the search.
        budgets: {training steps: what was found}, the budget that counts first.
        scales: {candidate: the factor before the loss}.
        at: The size that all scores were measured at, in words.

    Returns:
        One table per split that is to be shown, for the console.
    """
    (whole, verdict), *others = budgets.items()
    record = {"steps": whole, **_record(verdict, scales)}
    for steps, other in others:
        record["sooner"] = {"steps": steps, **_record(other, scales)}
    write_whole(directory / RECOMMENDATION, json.dumps(record, indent=1, allow_nan=False))
    tables, parts = [], []
    for steps, each in budgets.items():
        after = f" after {steps} steps" if others else ""
        shown = [each.table, *(split for split in each.splits if split == TEST)]
        own = [verdict_table(each, split, scales, at, f"{_TITLES[split]}{after}") for split in shown]
        words = f"Recommended{after}: **{each.recommendation.name}**; {each.reason()}.\n"
        parts += [words, *(table.markdown() for table in own)]
        tables += own
    write_whole(directory / "comparison.md", "\n".join(parts))
    save(gains_figure(verdict), directory / "comparison.png")
    return tables


def _record(verdict: Verdict, scales: Mapping[str, float]) -> dict[str, Any]:
    record = verdict.record()
    for candidate in record["candidates"]:
        candidate["scale"] = scales[candidate["name"]]
    return record


def verdict_table(verdict: Verdict, split: str, scales: Mapping[str, float], at: str, title: str) -> TextTable:
    """The candidates on a split: means over seeds, the difference to the baseline, the guard; in percent."""
    target, base = verdict.contest.target, verdict.contest.baseline
    standings = verdict.splits[split]
    metrics = list(next(iter(standings.values())).scores)
    guarded = bool(verdict.contest.guard)
    scaled = any(scale != 1 for scale in scales.values())
    rows = []
    for name, standing in standings.items():
        scale = [f"{scales[name]:g}"] if scaled else []
        scores = [_text(mean, spread=metric == target) for metric, mean in standing.scores.items()]
        gain = standing.differences[target]
        change = "" if name == base else _change(gain.value, gain.low, gain.high)
        guard = [verdict.broken_text(name)] if guarded else []
        rows.append([name, *scale, str(standing.seeds), *scores, change, *guard])
    names = [f"→ {name}" if name == target else name for name in metrics]
    header = ["loss", *["scale"] * scaled, "seeds", *names, "gain", *["guard"] * guarded]
    place, column = list(standings).index(verdict.recommendation.name), header.index(f"→ {target}")
    return TextTable(
        header=header,
        rows=rows,
        title=title,
        caption=_caption(verdict, split, at),
        bold={(place, 0), (place, column)},
        column_styles={column: "cyan"},
    )


def _text(mean: Mean, spread: bool) -> str:
    error = f" ± {100 * mean.stderr:.1f}" if spread and mean.stderr is not None else ""
    return "" if mean.value != mean.value else f"{100 * mean.value:.1f}{error}"


def _change(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _caption(verdict: Verdict, split: str, at: str) -> str:
    target, base = verdict.contest.target, verdict.contest.baseline
    sentences = [
        f"In percent, means over seeds ± their standard error; gain: difference to {base} in {target} with its 95 % "
        "interval over images and seeds, over images alone with one seed. Bold: recommended, chosen on other images.",
        f"Scored at {at}.",
    ]
    if split == verdict.chosen_on:
        sentences = [sentences[0].replace(", chosen on other images", ""), _SEEN, sentences[1]]
    if verdict.contest.guard:
        limits = ", ".join(f"{name} {100 * share:g}" for name, share in verdict.contest.guard.items())
        sentences.append(f"Guard: points that a loss may lose against {base} on the images of the choice: {limits}.")
    return " ".join(sentences)
