"""The tables of the paper, filled with our runs: each is a YAML in tables/, which says what belongs to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.errors import unknown
from autosegloss.report.page import Cell, Page
from autosegloss.report.runs import Archive, Run, holds, newest, shown
from autosegloss.search import History

_LISTED = 10  # runs that a note names at most


@dataclass(frozen=True)
class Filter:
    """What a run must be: choices of groups, values of its config, and the theta cards in its loss, one by one."""

    match: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    cards: Sequence[Mapping[str, Any]] | None = None

    def takes(self, run: Run) -> bool:
        """Whether all of it holds for `run`."""
        chosen = all(run.choices.get(group) == choice for group, choice in self.match.items())
        return chosen and holds(self.where, run.config) and self._takes_cards(run.cards)

    def _takes_cards(self, cards: Sequence[Mapping[str, Any]]) -> bool:
        if self.cards is None:
            return True
        return len(self.cards) == len(cards) and all(map(_is_card, self.cards, cards))


def _is_card(expected: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    """As `holds`; the data need only be in the name: "voc" is in VOC and in PASCAL VOC 2012."""
    rest = {key: value for key, value in expected.items() if key != "found_on"}
    return expected.get("found_on", "").lower() in card.get("found_on", "").lower() and holds(rest, card)


@dataclass(frozen=True)
class ScoreTable:
    """Rows of trainings, columns of metrics. `sections`: {name: {match, where, rows: {label: {match, where, cards,
    paper: {metric: percent}}}}}; what is written at a section is asked of all its rows."""

    title: str
    columns: Sequence[str]
    sections: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str] = ()

    def page(self, archive: Archive) -> Page:
        """The table with the validation scores of the runs that belong to it."""
        sections, used, remarks = {}, set(), []
        for section, conditions in self.sections.items():
            sections[section] = {}
            every = Filter(conditions.get("match", {}), conditions.get("where", {}))
            for label, row in conditions["rows"].items():
                paper = row.get("paper", {})
                only = Filter(row.get("match", {}), row.get("where", {}), row.get("cards"))
                runs = [run for run in archive.runs if every.takes(run) and only.takes(run)]
                used |= {run.path for run in runs}
                kept, left_out = newest(runs)
                remarks += left_out + _lengths(f"{section}, {label}", kept)
                sections[section][label] = {
                    name: Cell.of([run.scores.get(name) for run in kept], paper.get(name)) for name in self.columns
                }
        others = [str(run) for run in archive.runs if run.path not in used]
        notes = [*self.notes, *remarks, *_leftovers(archive, others)]
        return Page(self.title, self.columns, self.columns, sections, notes)


@dataclass(frozen=True)
class StepTable:
    """Rows of steps, columns of kinds of search: the mean of a step's trials, and the best so far.

    `where` is asked of all searches, `series` {name: where} of those of a column; values are those of the config.
    """

    title: str
    series: Mapping[str, Mapping[str, Any]]
    where: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def page(self, archive: Archive) -> Page:
        """The table with the searches that belong to it, averaged over their seeds."""
        columns, used, remarks = {}, set(), []
        for name, conditions in self.series.items():
            searches = [s for s in archive.searches if holds({**self.where, **conditions}, s.config)]
            used |= {search.path for search in searches}
            kept, left_out = newest(searches)
            remarks += left_out
            columns |= _curves(name, [_progress(History(search.path)) for search in kept])
        steps = range(max(map(len, columns.values()), default=0))
        rows = {
            f"step {step + 1}": {name: (cells[step : step + 1] or [Cell()])[0] for name, cells in columns.items()}
            for step in steps
        }
        others = [str(search) for search in archive.searches if search.path not in used]
        notes = [*self.notes, *remarks, *_leftovers(archive, others)]
        return Page(self.title, list(columns), (), {"Scores": rows}, notes)


def _progress(history: History) -> list[dict[str, float | None]]:
    """For each step the mean score of its trials, the best mean so far and the best trial so far."""
    means = [step.average for step in history.steps]
    bests = [step.best for step in history.steps]
    return [
        {"mean": mean, "best mean": _highest(means[: index + 1]), "best trial": _highest(bests[: index + 1])}
        for index, mean in enumerate(means)
    ]


def _highest(scores: Sequence[float | None]) -> float | None:
    return max((score for score in scores if score is not None), default=None)


def _curves(name: str, searches: Sequence[Sequence[Mapping[str, float | None]]]) -> dict[str, list[Cell]]:
    """{column: a cell a step}, over the searches that have come to it."""
    steps = range(max(map(len, searches), default=0))
    return {
        f"{name}, {kind}": [Cell.of(s[step][kind] for s in searches if step < len(s)) for step in steps]
        for kind in ("mean", "best mean", "best trial")
    }


def _lengths(row: str, runs: Sequence[Run]) -> list[str]:
    steps = sorted({run.config.trainer.max_steps for run in runs})
    return [f"{row}: averaged over trainings of {' and '.join(map(str, steps))} iterations"] if len(steps) > 1 else []


def _leftovers(archive: Archive, others: Sequence[str]) -> list[str]:
    parts = {
        "not in this table": others,
        "no result yet": [shown(path) for path in archive.unfinished],
        "could not be read": archive.unreadable,
    }
    return [f"{what}, {len(names)} in all:{_some(names)}" for what, names in parts.items() if names]


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "".join(f"\n  - {name}" for name in [*names[:_LISTED], *more])


def tables() -> dict[str, Path]:
    """The tables of the paper by their number."""
    return {path.stem: path for path in sorted(Path(str(resources.files(__package__) / "tables")).glob("*.yaml"))}


def paper_table(name: str) -> ScoreTable | StepTable:
    """The table `name`; raises InputError where there is none."""
    if name not in tables():
        raise unknown("table", name, tables())
    return instantiate(OmegaConf.load(tables()[name]), _convert_="all")
