"""A table of texts, drawn for a terminal, as Markdown or as HTML."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from autosegloss.report import html


@dataclass(frozen=True)
class TextTable:
    """A header and rows of texts; `Console.print` of rich draws it, `markdown` and `html` write it.

    Args:
        header: the titles of the columns.
        rows: for each row one text per column.
        title: the line above the table.
        caption: the line below the table.
        left: indices of the columns that are aligned to the left; the others are aligned to the right.
        bold: (row, column) of each cell in bold.
        underlined: (row, column) of each cell that is underlined.
        column_styles: rich styles by index of the column; Markdown ignores styles.
        row_styles: rich styles by index of the row.

    Example:
        >>> print(TextTable(["loss", "miou"], [["dice", "71.3"]]).markdown(), end="")
        | loss | miou |
        | ---- | ---: |
        | dice | 71.3 |
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    caption: str = ""
    left: Collection[int] = (0,)
    bold: Collection[tuple[int, int]] = ()
    underlined: Collection[tuple[int, int]] = ()
    column_styles: Mapping[int, str] = field(default_factory=dict)
    row_styles: Mapping[int, str] = field(default_factory=dict)

    def __rich__(self) -> Table:
        """The table as rich draws it."""
        table = Table(title=self.title or None, caption=self.caption or None, caption_justify="left")
        for column, name in enumerate(self.header):
            justify: JustifyMethod = "left" if column in self.left else "right"
            table.add_column(Text(name), justify=justify, style=self.column_styles.get(column))
        for index, row in enumerate(self.rows):
            texts = (Text(text, self._style(index, column)) for column, text in enumerate(row))
            table.add_row(*texts, style=self.row_styles.get(index))
        return table

    def markdown(self) -> str:
        """The title as a heading, the table with columns padded to one width, and the caption."""
        marked = [
            [self._marked(index, column, text) for column, text in enumerate(row)]
            for index, row in enumerate(self.rows)
        ]
        header, *rows = ([text.replace("|", r"\|") for text in line] for line in (self.header, *marked))
        widths = [max(4, *map(len, column)) for column in zip(header, *rows, strict=True)]
        rule = [_rule(width, column in self.left) for column, width in enumerate(widths)]
        table = "\n".join(self._line(line, widths) for line in (header, rule, *rows))
        heading = f"## {self.title}" if self.title else ""
        return "\n\n".join(filter(None, (heading, table, self.caption))) + "\n"

    def html(self) -> str:
        """The title as a heading, the table and the caption, for `autosegloss.report.html.page`."""
        marks = {"b": self.bold, "u": self.underlined}
        marked = {*self.bold, *self.underlined}
        tags = {cell: [tag for tag, cells in marks.items() if cell in cells] for cell in marked}
        heading = [html.heading(self.title)] if self.title else []
        caption = [html.sentence(self.caption)] if self.caption else []
        return "\n".join([*heading, html.table(self.header, self.rows, tags=tags), *caption])

    def _style(self, row: int, column: int) -> str:
        marks = {"bold": self.bold, "underline": self.underlined}
        return " ".join(style for style, cells in marks.items() if (row, column) in cells)

    def _marked(self, row: int, column: int, text: str) -> str:
        """Markdown has no underline of its own, and shows the HTML tag."""
        text = f"**{text}**" if (row, column) in self.bold else text
        return f"<u>{text}</u>" if text and (row, column) in self.underlined else text

    def _line(self, texts: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            text.ljust(width) if column in self.left else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"


def _rule(width: int, left: bool) -> str:
    return "-" * width if left else "-" * (width - 1) + ":"
