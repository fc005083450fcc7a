"""A page of score tables, ours below those of the paper and of its release: for a terminal, Markdown, HTML, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Group
from rich.text import Text

from autosegloss.report import html
from autosegloss.report.cell import OURS, Cell, number_text
from autosegloss.report.text_table import TextTable

Rows = Mapping[str, Mapping[str, Cell]]
"""Cells by label of the row and name of the column."""

PUBLISHED = ("paper", "release")


@dataclass(frozen=True)
class Page:
    """A title, sections with a table each, and notes.

    Each row of a section has a line for the numbers of the paper, of its release, and ours, where there are any. The
    metric that the loss of a row is made for is underlined.

    Args:
        title: the title of the page.
        columns: the names of the columns, for all sections.
        sections: rows by name of the section.
        notes: sentences below the tables.
        best_within: numbers so close to the highest of their column and source, in percent points, are bold; None
            marks no best.
        digits: after the point, by name of the column; others have 2.
    """

    title: str
    columns: Sequence[str]
    sections: Mapping[str, Rows]
    notes: Sequence[str]
    best_within: float | None = None
    digits: Mapping[str, int] = field(default_factory=dict)

    def markdown(self) -> str:
        """The page as Markdown; its columns are aligned, so that a terminal shows it well."""
        tables = [self._table(name, rows).markdown() for name, rows in self.sections.items()]
        notes = "".join(f"- {note}\n" for note in self.notes)
        return "\n".join(filter(None, (f"# {self.title}\n", *tables, notes)))

    def html(self) -> str:
        """The page as HTML."""
        tables = [self._table(name, rows).html() for name, rows in self.sections.items()]
        lines = [line for note in self.notes for line in note.splitlines()]
        return html.page(self.title, [*tables, *map(html.sentence, lines)])

    def __rich__(self) -> Group:
        """The page as rich draws it."""
        tables = [self._table(name, rows) for name, rows in self.sections.items()]
        return Group(Text(self.title, "bold"), *tables, *(Text(f"- {note}") for note in self.notes))

    def csv(self) -> str:
        """A line per cell: section, row, column, n, ours, its standard deviation, the published; in percent."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["section", "row", "column", "n", OURS, "std", *PUBLISHED])
        for section, rows in self.sections.items():
            for label, cells in rows.items():
                for column in self.columns:
                    cell = cells[column]
                    numbers = (cell.mean, cell.std, *map(cell.number, PUBLISHED))
                    texts = (number_text(number, digits=4) for number in numbers)
                    writer.writerow([section, label, column, cell.count, *texts])
        return stream.getvalue()

    def _table(self, section: str, rows: Rows) -> TextTable:
        lines = list(_lines(rows))
        named = any(line.source != OURS for line in lines)
        header = ["", *(["numbers"] if named else []), "n", *self.columns]
        texts = [
            [line.label, *([line.source] if named else []), line.runs, *line.texts(self.columns, self.digits)]
            for line in lines
        ]
        first = len(header) - len(self.columns)
        bold, underlined = set[tuple[int, int]](), set[tuple[int, int]]()
        for column, name in enumerate(self.columns, start=first):
            bold |= {(row, column) for row in self._best(lines, name)}
            underlined |= {(row, column) for row, line in enumerate(lines) if line.cells[name].target}
        return TextTable(header, texts, title=section, left=range(first - 1), bold=bold, underlined=underlined)

    def _best(self, lines: Sequence[_Line], column: str) -> Iterator[int]:
        """The indices of the lines with the highest number of a column, and of those near it, source by source."""
        if self.best_within is None:
            return
        for source in {line.source for line in lines}:
            numbers = {
                row: line.cells[column].number(source) for row, line in enumerate(lines) if line.source == source
            }
            known = {row: number for row, number in numbers.items() if isinstance(number, float)}
            for row, number in known.items():
                if len(known) > 1 and round(max(known.values()) - number, 2) <= self.best_within:
                    yield row


class _Line(NamedTuple):
    """The numbers of one source in a row; the first line of a row has its label."""

    label: str
    source: str
    cells: Mapping[str, Cell]

    @property
    def runs(self) -> str:
        """The number of our runs, or the least and the greatest; "" for published numbers."""
        counts = sorted({cell.count for cell in self.cells.values()})
        return "-".join(map(str, {counts[0]: 0, counts[-1]: 0})) if self.source == OURS else ""

    def texts(self, columns: Sequence[str], digits: Mapping[str, int]) -> list[str]:
        """The numbers of the columns, with 2 digits after the point or those of the column."""
        return [self.cells[name].text(digits.get(name, 2), self.source) for name in columns]


def _lines(rows: Rows) -> Iterator[_Line]:
    """The lines of all rows; a row without any number has an empty line for ours."""
    for label, cells in rows.items():
        sources = [source for source in PUBLISHED if any(source in cell.published for cell in cells.values())]
        if not sources or any(cell.count for cell in cells.values()):
            sources.append(OURS)
        yield from (_Line("" if place else label, source, cells) for place, source in enumerate(sources))
