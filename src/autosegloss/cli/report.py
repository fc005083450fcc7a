"""The program `python -m autosegloss.report`: prints or writes the tables of the paper, filled from folders of runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from autosegloss.cli.errors import run_program
from autosegloss.cli.help import REPORT
from autosegloss.errors import InputError
from autosegloss.files import write_whole
from autosegloss.report.archive import Archive
from autosegloss.report.paper import paper_table, tables


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: an unknown table, a folder that cannot be read, a file that cannot be written.
    """
    if REPORT.shown(sys.argv[1:] if arguments is None else arguments):
        return
    options = _parser().parse_args(arguments)
    page = paper_table(options.table).page(Archive.of(options.runs))
    text = page.csv() if options.csv else page.markdown()
    if not options.out:
        print(text, end="")
        return
    try:
        write_whole(options.out, text)
    except OSError as error:
        raise InputError(f"the table cannot be written ({error}): choose another place with --out FILE") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autosegloss report", description="Reports on finished runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table = commands.add_parser("table", help="a table of the paper, filled with the scores of runs")
    table.add_argument("table", metavar="N", help=", ".join(tables()))
    table.add_argument("runs", nargs="*", type=Path, metavar="RUNS", help="folders of train.py or search.py, or above")
    table.add_argument("--csv", action="store_true", help="CSV with a line per cell instead of Markdown")
    table.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    return parser
