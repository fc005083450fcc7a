"""python -m autosegloss.report table 2 RUNS...   the paper's tables, ours beside the release's numbers"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autosegloss.errors import InputError
from autosegloss.files import write_whole
from autosegloss.report.paper import paper_table, tables
from autosegloss.report.runs import Archive


def main(arguments: list[str] | None = None) -> None:
    """Print what is asked for, or write it; a mistake ends the program with one line."""
    options = _parser().parse_args(arguments)
    try:
        page = paper_table(options.table).page(Archive.of(options.runs))
        text = page.csv() if options.csv else page.markdown()
        if options.out:
            write_whole(options.out, text)
        else:
            print(text, end="")
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autosegloss.report", description="Reports on finished runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table = commands.add_parser("table", help="a table of the paper, filled with the scores of runs")
    table.add_argument("table", metavar="N", help=", ".join(tables()))
    table.add_argument("runs", nargs="*", type=Path, metavar="RUNS", help="folders of train.py or search.py, or above")
    table.add_argument("--csv", action="store_true", help="a line a cell instead of Markdown")
    table.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    return parser


if __name__ == "__main__":
    main()
