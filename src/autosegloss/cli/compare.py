"""The program `autosegloss compare`: a table and a figure of several runs; `train -m` ends with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from autosegloss.cli.arguments import read_arguments, typed_arguments
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import COMPARE
from autosegloss.errors import InputError
from autosegloss.files import short_path
from autosegloss.report.archive import Archive

SETTINGS: dict[str, Any] = {"metric": None, "split": "val", "out": None}


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: a folder or a setting cannot be used, or a file cannot be written.
    """
    typed = typed_arguments() if arguments is None else arguments
    if COMPARE.shown(typed):
        return
    paths, settings, _ = read_arguments(typed, SETTINGS)
    if not paths:
        raise InputError("autosegloss compare: expected folders of runs, got none; --help has examples")
    out = Path(settings["out"]).expanduser() if settings["out"] else None
    _compare([Path(path).expanduser() for path in paths], out, settings["split"], settings["metric"])


def _compare(folders: Sequence[Path], out: Path | None, split: str = "val", metric: str | None = None) -> None:
    """Print the table, and write it and the figure into `out`."""
    from autosegloss.report.run_comparison import RunComparison  # it imports scipy and matplotlib

    archive = Archive.of(folders)
    compared = RunComparison.of(archive.runs, split, metric)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(compared.table())
    for kind, left in (("no result yet", archive.unfinished), ("could not be read", archive.unreadable)):
        if left:
            print(f"{kind}: {', '.join(str(each) for each in left)}")
    if out is None:
        return
    try:
        compared.write(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): choose another place with out=DIR") from error
    print(f"table and figure: {short_path(out)}/comparison.{{md,csv,png}}")


class CompareRuns(Callback):
    """Hydra's callback that compares the runs of a grid when all have ended."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        try:
            _compare([folder], folder)
        except InputError as error:  # Hydra would print a warning with a traceback
            print(f"not compared: {error}")
