"""python -m autosegloss.data check data=voc data.root=ROOT: what is in a data set, and what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from autosegloss.cli.errors import run_program
from autosegloss.data.check.checks import walk
from autosegloss.data.check.picture import picture
from autosegloss.data.check.tables import classes_table, faults, notes, splits_table
from autosegloss.data.datasets.source import SPLITS, Source
from autosegloss.errors import InputError
from autosegloss.report import save

CONF = Path(__file__).parents[3] / "conf"
NAMED = 10  # faults that are named; all are counted
WIDTH = 120  # characters of a table that goes into a file
HELP = "any setting of conf/train.yaml, as data=voc data.root=ROOT; limit=N samples of each split; out=PICTURE.png"


def main() -> None:
    parser = argparse.ArgumentParser("python -m autosegloss.data", description=__doc__)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=HELP)
    settings = parser.parse_args().settings
    own = dict(setting.split("=", 1) for setting in settings if setting.startswith(("limit=", "out=")))
    limit = _limit(own.get("limit"))
    source = composed([setting for setting in settings if not setting.startswith(("limit=", "out="))])
    wrong = check(source, limit, Path(own.get("out", "data_check.png")))
    if wrong:
        sys.exit(f"error: {wrong} {'fault' if wrong == 1 else 'faults'}, see above")


def composed(overrides: list[str]) -> Source:
    """The source that conf/train.yaml and the overrides name; InputError where there is no conf/."""
    if not CONF.is_dir():
        raise InputError(f"no folder {CONF}: the configuration comes with a checkout, not with the installed package")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("train", overrides).data).source


def check(source: Source, limit: int | None, out: Path) -> int:
    """Print what a data set holds, draw some of it into `out`; returns the number of faults."""
    with _progress() as on_sample:
        reports = list(walk(source, limit, on_sample))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(splits_table(reports, source), classes_table(reports, source))
    for note in notes(reports, source):
        print(f"note: {note}")
    found = faults(reports)
    for line in found[:NAMED]:
        print(f"fault: {line}")
    if len(found) > NAMED:
        print(f"... and {len(found) - NAMED} more")
    if figure := picture(reports, source):  # last: what was found is said, even if it cannot be written
        print(f"picture: {_written(figure, out)}")
    return len(found)


def _limit(value: str | None) -> int | None:
    if value is not None and not (value.isdecimal() and int(value) > 0):
        raise InputError(f"limit must be a whole number of 1 or more, got {value!r}")
    return value and int(value)


def _written(figure: Figure, out: Path) -> Path:
    try:
        return save(figure, out)
    except (OSError, ValueError) as error:  # a folder that cannot be written, an ending that is no format
        raise InputError(f"the picture cannot be written ({error}): choose another place with out=PATH.png") from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A bar for each split on stderr, where that is a terminal; yields what counts a sample."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {split: bar.add_task(split, total=None, visible=False) for split in SPLITS}
        yield lambda split, total: bar.update(tasks[split], total=total, advance=1, visible=True)


if __name__ == "__main__":
    run_program(main)
