"""The program `python -m autosegloss.report`: the tables and a figure of the paper, filled from folders of runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from autosegloss.cli.errors import run_program
from autosegloss.cli.help import REPORT
from autosegloss.errors import InputError
from autosegloss.files import write_whole
from autosegloss.report.archive import Archive
from autosegloss.report.page import Page
from autosegloss.report.paper import paper_figure, paper_table, tables

FORMATS: Mapping[str, Callable[[Page], str]] = MappingProxyType(
    {"md": Page.markdown, "html": Page.html, "csv": Page.csv}
)
"""The forms of a page, by the ending of its file."""


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: an unknown table or figure, a folder that cannot be read, a file that cannot be written.
    """
    if REPORT.shown(sys.argv[1:] if arguments is None else arguments):
        return
    options = _parser().parse_args(arguments)
    options.command(options)


def _table(options: argparse.Namespace) -> None:
    page = paper_table(options.number).page(Archive.of(options.runs))
    name = options.format or (options.out and options.out.suffix.removeprefix(".").lower())
    text = FORMATS.get(name, Page.markdown)(page)
    if options.out:
        _write(options.out, lambda path: write_whole(path, text))
    elif options.format or not sys.stdout.isatty():
        print(text, end="")
    else:
        Console().print(page)


def _figure(options: argparse.Namespace) -> None:
    from autosegloss.report.figures import save  # it imports matplotlib

    figure = paper_figure(options.number, Archive.of(options.runs))
    _write(options.out, lambda path: save(figure, path))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be written ({error}): choose another place with --out FILE") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autosegloss report", description="Reports on finished runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table = commands.add_parser("table", help="a table of the paper, filled with the scores of runs")
    table.add_argument("number", metavar="N", help=", ".join(tables()))
    table.add_argument("--format", choices=FORMATS, help="of the text; a terminal shows a table by default")
    table.add_argument("--out", type=Path, metavar="FILE", help="write there; its ending is the format by default")
    figure = commands.add_parser("figure", help="a figure of the paper, drawn from searches")
    figure.add_argument("number", metavar="N", help="3")
    figure.add_argument("--out", type=Path, metavar="FILE", required=True, help=".png, .svg or .pdf")
    for command, do in ((table, _table), (figure, _figure)):
        command.add_argument("runs", nargs="*", type=Path, metavar="RUNS", help="folders of runs, or above these")
        command.set_defaults(command=do)
    return parser
