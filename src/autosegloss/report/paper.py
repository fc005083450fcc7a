"""The tables of the paper, filled with our runs: each is a YAML in tables/, which says what belongs to its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.errors import unknown
from autosegloss.report.page import Cell, Page
from autosegloss.report.runs import Archive, Run, Search, deviations, newest, shown
from autosegloss.search import History

_LISTED = 10  # runs that a note names at most


@dataclass(frozen=True)
class Row:
    """What a row asks of a run: its kind are choices of groups and the theta cards in its loss, one by one; besides,
    its config has the values of `where`, and each of its cards those of `found`. `release`: {metric: percent}."""

    match: Mapping[str, str]
    where: Mapping[str, Any]
    found: Mapping[str, Any]
    cards: Sequence[Mapping[str, Any]] | None
    release: Mapping[str, float]

    @classmethod
    def of(cls, section: Mapping[str, Any], row: Mapping[str, Any]) -> Row:
        """A row of a section, which may ask otherwise than its section."""
        asked = ({**section.get(part, {}), **row.get(part, {})} for part in ("match", "where", "found"))
        return cls(*asked, row.get("cards"), row.get("release", {}))

    def deviations(self, run: Run) -> list[str] | None:
        """What keeps `run` from filling this row: nothing, or words on each; None for a run of another kind."""
        if not self._is_kind_of(run):
            return None
        told = deviations(self.where, run.config)
        for card in run.cards if self.cards else ():
            told += [f"card of {card['metric']['name']}: {words}" for words in deviations(self.found, card)]
        return told

    def _is_kind_of(self, run: Run) -> bool:
        chosen = all(run.choices.get(group) == choice for group, choice in self.match.items())
        if not chosen or self.cards is None:
            return chosen
        return len(self.cards) == len(run.cards) and all(map(_is_card, self.cards, run.cards))


def _is_card(expected: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    """Whether it has these values; the data need only be in the name: "voc" is in VOC and in PASCAL VOC 2012."""
    rest = {key: value for key, value in expected.items() if key != "found_on"}
    return expected["found_on"].lower() in card.get("found_on", "").lower() and not deviations(rest, card)


@dataclass(frozen=True)
class ScoreTable:
    """Rows of trainings, columns of metrics. `sections`: {name: {match, where, found, rows: {label: {match, where,
    found, cards, release}}}}, see Row; what is written at a section is asked of its rows that do not ask otherwise."""

    title: str
    columns: Sequence[str]
    sections: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str] = ()

    def page(self, archive: Archive) -> Page:
        """The table with the validation scores of the runs that belong to it."""
        sections, remarks, told = {}, [], _Told(archive.runs)
        for section, conditions in self.sections.items():
            sections[section] = {}
            for label, entry in conditions["rows"].items():
                row = Row.of(conditions, entry)
                kept, left_out = newest(told.filling(row.deviations))
                remarks += left_out
                sections[section][label] = {
                    name: Cell.of([run.scores.get(name) for run in kept], row.release.get(name))
                    for name in self.columns
                }
        notes = [*self.notes, *_nothing("runs", archive.runs, archive), *remarks, *_leftovers(archive, told)]
        return Page(self.title, self.columns, self.columns, sections, notes)


@dataclass(frozen=True)
class StepTable:
    """Rows of steps, columns of kinds of search: the mean of a step's trials, and the best so far.

    A search is of this table by the values of `match` in its config, of a column by those of `series` {name: match};
    those of `where` it must have besides.
    """

    title: str
    series: Mapping[str, Mapping[str, Any]]
    match: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def page(self, archive: Archive) -> Page:
        """The table with the searches that belong to it, averaged over their seeds."""
        columns, remarks, told = {}, [], _Told(archive.searches)
        for name, conditions in self.series.items():
            kept, left_out = newest(told.filling(partial(self._deviations, {**self.match, **conditions})))
            remarks += left_out
            columns |= _curves(name, [_progress(History(search.path)) for search in kept])
        steps = range(max(map(len, columns.values()), default=0))
        rows = {
            f"step {step + 1}": {name: (cells[step : step + 1] or [Cell()])[0] for name, cells in columns.items()}
            for step in steps
        }
        notes = [*self.notes, *_nothing("searches", archive.searches, archive), *remarks, *_leftovers(archive, told)]
        return Page(self.title, list(columns), (), {"Scores": rows}, notes)

    def _deviations(self, match: Mapping[str, Any], search: Search) -> list[str] | None:
        return None if deviations(match, search.config) else deviations(self.where, search.config)


class _Told:
    """Runs or searches, and what keeps each from the row that it is nearest to."""

    def __init__(self, items: Sequence[Any]):
        self.items, self._nearest = items, {}

    def filling(self, deviations_of: Callable[[Any], list[str] | None]) -> list:
        """Those that fill a row, by its deviations: [] for what fills it, None for what is of another kind."""
        told = {item.path: deviations_of(item) for item in self.items}
        for path, words in told.items():
            if words is not None:
                self._nearest[path] = min(self._nearest.get(path, words), words, key=len)
        return [item for item in self.items if told[item.path] == []]

    @property
    def deviating(self) -> list[str]:
        """Those of a row's kind that fill none, with what differs."""
        return [f"{item}: {'; '.join(words)}" for item in self.items if (words := self._nearest.get(item.path))]

    @property
    def others(self) -> list[str]:
        """Those that are of no row's kind."""
        return [str(item) for item in self.items if item.path not in self._nearest]


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


def _nothing(what: str, items: Sequence[Any], archive: Archive) -> list[str]:
    folders = ", ".join(map(shown, archive.folders))
    return [f"no {what} found below {folders}"] if folders and not items else []


def _leftovers(archive: Archive, told: _Told) -> list[str]:
    parts = {
        "deviates": told.deviating,
        "not in this table": told.others,
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
