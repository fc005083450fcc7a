"""The program `python -m autosegloss.data`: prints the content and the faults of a data set and draws some samples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from autosegloss.cli.errors import run_program
from autosegloss.cli.program import config_folder
from autosegloss.data.check.checks import check_splits
from autosegloss.data.check.picture import picture
from autosegloss.data.check.tables import classes_table, faults, notes, splits_table
from autosegloss.data.datasets.source import SPLITS, Source
from autosegloss.errors import InputError
from autosegloss.report import save

LISTED_FAULTS = 10
FILE_WIDTH = 120  # characters per line if the output is no terminal
DESCRIPTION = "Prints the content and the faults of a data set and draws a few samples."
HELP = "any setting of conf/train.yaml, as data=voc data.root=ROOT; limit=N samples of each split; out=PICTURE.png"


def main() -> None:
    """The program; an error of the user, or a fault of the data, ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: `limit` is no count, or the picture cannot be written.
        HydraException, OmegaConfBaseException: a setting of the configuration is wrong.
        SystemExit: the data set has faults.
    """
    parser = argparse.ArgumentParser("python -m autosegloss.data", description=DESCRIPTION)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=HELP)
    settings = parser.parse_args(arguments).settings
    own = dict(setting.split("=", 1) for setting in settings if setting.startswith(("limit=", "out=")))
    limit = _limit(own["limit"]) if "limit" in own else None
    source = compose_source([setting for setting in settings if not setting.startswith(("limit=", "out="))])
    if count := check(source, limit, Path(own.get("out", "data_check.png"))):
        sys.exit(f"error: {count} {'fault' if count == 1 else 'faults'}, see above")


def compose_source(overrides: Sequence[str]) -> Source:
    """The data set that the configuration of a training describes.

    Args:
        overrides: settings in Hydra's grammar, as data=voc.

    Raises:
        InstantiationException: the data set refuses a setting; its cause is an InputError.
    """
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return instantiate(compose("train", list(overrides)).data).source


def check(source: Source, limit: int | None, out: Path) -> int:
    """Print the content of a data set and draw some samples; returns the number of faults.

    Args:
        source: the data set.
        limit: the number of samples to read of each split; None reads all.
        out: the file of the picture.
    """
    with _progress() as on_sample:
        reports = list(check_splits(source, limit, on_sample))
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    console.print(splits_table(reports, source), classes_table(reports, source))
    for note in notes(reports, source):
        print(f"note: {note}")
    found = faults(reports)
    for line in found[:LISTED_FAULTS]:
        print(f"fault: {line}")
    if len(found) > LISTED_FAULTS:
        print(f"... and {len(found) - LISTED_FAULTS} more")
    if figure := picture(reports, source):  # last, so that the faults are printed even if it cannot be written
        print(f"picture: {_save(figure, out)}")
    return len(found)


def _limit(value: str) -> int:
    if not (value.isdecimal() and int(value) > 0):
        raise InputError(f"limit must be a whole number of 1 or more, got {value!r}")
    return int(value)


def _save(figure: Figure, out: Path) -> Path:
    try:
        return save(figure, out)
    except (OSError, ValueError) as error:  # a folder without write permission, an unknown ending
        raise InputError(f"the picture cannot be written ({error}): choose another place with out=PATH.png") from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Show a bar per split on stderr if that is a terminal; yields the function that counts a sample."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {split: bar.add_task(split, total=None, visible=False) for split in SPLITS}
        yield lambda split, total: bar.update(tasks[split], total=total, advance=1, visible=True)
