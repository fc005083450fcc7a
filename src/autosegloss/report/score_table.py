"""A table of the paper whose rows are trainings and whose columns are metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from autosegloss.report.archive import Archive
from autosegloss.report.cell import Cell, Number
from autosegloss.report.conditions import deviations
from autosegloss.report.page import PUBLISHED, Page, Rows
from autosegloss.report.runs import Run
from autosegloss.report.selection import Selection


@dataclass(frozen=True)
class Row:
    """The conditions of a row. `match` and `cards` tell which runs are of its kind; `where` and `found` must hold, too.

    Args:
        match: {group: choice} of the run.
        where: values at dotted keys in the config of the run.
        found: values at dotted keys in each theta card of the loss.
        cards: for each theta card of the loss its values at dotted keys; None allows any cards.
        target: the metrics that the loss is made for.
        paper: {column: the paper's number, in percent if it is a score}, a word where it has no number.
        release: the same of the authors' release.
    """

    match: Mapping[str, str]
    where: Mapping[str, Any]
    found: Mapping[str, Any]
    cards: Sequence[Mapping[str, Any]] | None
    target: Sequence[str] = ()
    paper: Mapping[str, Number] = field(default_factory=dict)
    release: Mapping[str, Number] = field(default_factory=dict)

    @classmethod
    def of(cls, section: Mapping[str, Any], row: Mapping[str, Any]) -> Row:
        """A row of a section; its own conditions take precedence over those of the section."""

        def merged(part: str) -> dict[str, Any]:
            return {**section.get(part, {}), **row.get(part, {})}

        published = {name: row[name] for name in ("target", *PUBLISHED) if name in row}
        return cls(merged("match"), merged("where"), merged("found"), row.get("cards"), **published)

    def cells(self, columns: Sequence[str], runs: Sequence[Run]) -> dict[str, Cell]:
        """A cell per column, filled with the scores of runs."""
        published = {"paper": self.paper, "release": self.release}
        return {
            name: Cell.of(
                [run.scores.get(name) for run in runs],
                {source: numbers[name] for source, numbers in published.items() if name in numbers},
                name in self.target,
            )
            for name in columns
        }

    def deviations(self, run: Run) -> list[str] | None:
        """How a run deviates from the conditions: [] if it fills the row, None if it is of another kind."""
        if not self._is_kind_of(run):
            return None
        found = deviations(self.where, run.config)
        for card in run.cards if self.cards else ():
            found += [f"card of {card.metric.name}: {text}" for text in deviations(self.found, card)]
        return found

    def _is_kind_of(self, run: Run) -> bool:
        chosen = all(run.choices.get(group) == choice for group, choice in self.match.items())
        if not chosen or self.cards is None:
            return chosen
        return len(self.cards) == len(run.cards) and all(map(_is_card, self.cards, run.cards))


def _is_card(expected: Mapping[str, Any], card: DictConfig) -> bool:
    """Whether a card has the expected values; of `found_on` a part suffices, in any case."""
    rest = {key: value for key, value in expected.items() if key != "found_on"}
    return expected["found_on"].lower() in card.get("found_on", "").lower() and not deviations(rest, card)


@dataclass(frozen=True)
class ScoreTable:
    """A table of validation scores.

    Args:
        title: the title of the page.
        columns: names of metrics; others are columns of the paper that our runs have no number for.
        sections: {name: {match, where, found, rows: {label: {match, where, found, cards, target, paper, release}}}},
            see `Row`; the conditions of a section hold for those of its rows that state no others.
        notes: sentences below the tables.
        best_within: see `Page`.
        digits: see `Page`.
    """

    title: str
    columns: Sequence[str]
    sections: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str] = ()
    best_within: float | None = None
    digits: Mapping[str, int] = field(default_factory=dict)

    def page(self, archive: Archive) -> Page:
        """The table, filled with the validation scores of the runs that meet the conditions of a row."""
        selection = Selection(archive.runs)
        sections = {
            name: {label: self._cells(Row.of(section, row), selection) for label, row in section["rows"].items()}
            for name, section in self.sections.items()
        }
        notes = [*_disagreements(sections), *self.notes, *selection.notes("runs", archive)]
        return Page(self.title, self.columns, sections, notes, self.best_within, self.digits)

    def _cells(self, row: Row, selection: Selection[Run]) -> dict[str, Cell]:
        return row.cells(self.columns, selection.row(row.deviations))


def _disagreements(sections: Mapping[str, Rows]) -> list[str]:
    """A note that names the cells in which paper and release have different numbers."""
    differing = {
        f"{label} ({section})": [column for column, cell in cells.items() if len(set(cell.published.values())) > 1]
        for section, rows in sections.items()
        for label, cells in rows.items()
    }
    rows = "; ".join(f"{row}: {', '.join(columns)}" for row, columns in differing.items() if columns)
    return [f"Paper and release disagree in {rows}."] if rows else []
