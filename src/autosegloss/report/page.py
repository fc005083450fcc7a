"""A page of score tables, our scores beside those of the authors' release, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosegloss.report.cell import Cell, number_text
from autosegloss.report.text_table import TextTable

Rows = Mapping[str, Mapping[str, Cell]]
"""Cells by label of the row and name of the column."""


@dataclass(frozen=True)
class Page:
    """A title, sections with a table each, and notes.

    Args:
        title: the title of the page.
        columns: the names of the columns, for all sections.
        released: the columns that have a column with the release's scores beside them.
        sections: rows by name of the section.
        notes: sentences below the tables.
    """

    title: str
    columns: Sequence[str]
    released: Sequence[str]
    sections: Mapping[str, Rows]
    notes: Sequence[str]

    def markdown(self) -> str:
        """The page as Markdown; its columns are aligned, so that a terminal shows it well."""
        tables = [self._table(name, rows).markdown() for name, rows in self.sections.items()]
        notes = "".join(f"- {note}\n" for note in self.notes)
        return "\n".join(filter(None, (f"# {self.title}\n", *tables, notes)))

    def csv(self) -> str:
        """A line per cell: section, row, column, n, ours, its standard deviation, the release's; in percent."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["section", "row", "column", "n", "ours", "std", "release"])
        for section, rows in self.sections.items():
            for label, cells in rows.items():
                for column in self.columns:
                    cell = cells[column]
                    numbers = (number_text(number, digits=4) for number in (cell.mean, cell.std, cell.release))
                    writer.writerow([section, label, column, cell.count, *numbers])
        return stream.getvalue()

    def _table(self, section: str, rows: Rows) -> TextTable:
        header = ["", "n"]
        for name in self.columns:
            header += [name, "release"] if name in self.released else [name]
        return TextTable(header, [self._row(label, cells) for label, cells in rows.items()], title=section)

    def _row(self, label: str, cells: Mapping[str, Cell]) -> list[str]:
        counts = {cell.count for cell in cells.values()}
        row = [label, "-".join(map(str, sorted({min(counts), max(counts)})))]
        for name in self.columns:
            release = [number_text(cells[name].release, digits=2)] if name in self.released else []
            row += [cells[name].text(digits=2), *release]
        return row
