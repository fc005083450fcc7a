"""The program `python -m autosegloss.data`: prints the content and the faults of a data set and draws some samples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from autosegloss.cli.configs import compose_training
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import DATA
from autosegloss.data.check.checks import check_splits
from autosegloss.data.check.findings import Finding, findings, notes, warnings
from autosegloss.data.check.picture import picture
from autosegloss.data.check.proposal import VOID, content_of, is_void, proposal
from autosegloss.data.check.tables import classes_table, splits_table
from autosegloss.data.datasets.folder import Folder
from autosegloss.data.datasets.source import SPLITS, Source
from autosegloss.errors import InputError
from autosegloss.files import write_whole
from autosegloss.report import save
from autosegloss.training.task import task_of

SHOWN = 3  # faults of a kind, and lines of a proposal, that the console shows without --all
LONGEST_PROPOSAL = 12
FILE_WIDTH = 120  # characters per line if the output is no terminal
DESCRIPTION = "Prints the content and the faults of a data set and draws a few samples."
HELP = "any setting of conf/train.yaml, as data=voc data.root=ROOT; limit=N samples of each split; out=PICTURE.png"
# The kinds of faults, and the words of doubts, that a table of the classes may mend.
_MENDED = (
    "masks in colours without a table",
    "labels that are no class",
    "values that the table lacks",
    "nothing to learn",
)


def main() -> None:
    """The program; an error of the user, or a fault of the data, ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: `limit` is no count, the picture cannot be written, or the classes do not fit the task.
        HydraException, OmegaConfBaseException: a setting of the configuration is wrong.
        SystemExit: the data set has faults.
    """
    if DATA.shown(sys.argv[1:] if arguments is None else arguments):
        return
    parser = argparse.ArgumentParser("autosegloss data", description=DESCRIPTION)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("--all", action="store_true", help="list all faults, not the first of each kind")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=HELP)
    options = parser.parse_intermixed_args(arguments)
    settings = options.settings
    own = dict(setting.split("=", 1) for setting in settings if setting.startswith(("limit=", "out=")))
    limit = _limit(own["limit"]) if "limit" in own else None
    cfg = compose_training([setting for setting in settings if not setting.startswith(("limit=", "out="))])
    task, source = task_of(cfg), compose_source(cfg)
    if count := check(source, limit, Path(own.get("out", "data_check.png")), options.all, task.exclusive):
        sys.exit(f"error: {count} {'fault' if count == 1 else 'faults'}, see above")
    task.channels(source.num_classes)


def compose_source(cfg: DictConfig) -> Source:
    """The data set that the configuration of a training describes.

    Raises:
        InstantiationException: the data set refuses a setting; its cause is an InputError.
    """
    return instantiate(cfg.data).source


def check(source: Source, limit: int | None, out: Path, all_faults: bool = False, exclusive: bool = True) -> int:
    """Print the content of a data set and draw some samples; returns the number of faults.

    Args:
        source: the data set.
        limit: the number of samples to read of each split; None reads all.
        out: the file of the picture; a proposed table of the classes is written beside it.
        all_faults: whether all faults of a kind are listed.
        exclusive: whether a pixel has one label.
    """
    try:
        source.class_names  # noqa: B018  # a folder reads them from its files
    except InputError as error:
        if exclusive:
            _propose(_masks(_without_classes(source, error), limit), (), out)
        raise
    with _progress() as on_sample:
        reports = list(check_splits(source, limit, on_sample, exclusive))
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    console.print(splits_table(reports, source), classes_table(reports, source))
    found, doubts = findings(reports, source), list(warnings(reports, source))
    for kind, lines in (("note", notes(reports, source)), ("warning", doubts)):
        for line in lines:
            print(f"{kind}: {line}")
    for finding in found:
        _print_faults(finding, all_faults)
    mended = any(finding.kind in _MENDED for finding in found) or any("start at 1" in doubt for doubt in doubts)
    if exclusive and mended:
        _propose([Path(c.sample.mask) for r in reports for c in r.samples if c.sample.mask], source.class_names, out)
    if figure := picture(reports, source):  # last, so that the faults are printed even if it cannot be written
        print(f"picture: {_save(figure, out)}")
    return sum(len(finding.faults) for finding in found)


def _print_faults(finding: Finding, all_faults: bool) -> None:
    kind, faults = finding
    print(f"fault: {kind} ({len(faults)})")
    shown = faults if all_faults else faults[:SHOWN]
    for line in shown:
        print(f"    {line}")
    if len(faults) > len(shown):
        print(f"    ... and {len(faults) - len(shown)} more, which --all lists")


def _without_classes(source: Source, error: InputError) -> Source:
    """A folder whose classes are unknown, as one with all labels; raises `error` for another source."""
    if not isinstance(source, Folder) or source.classes or source.labels or source.colours:
        raise error
    return replace(source, classes=256, ignore_index=None)


def _masks(source: Source, limit: int | None) -> list[Path]:
    return [Path(sample.mask) for split in SPLITS for sample in source.samples(split)[:limit] if sample.mask]


def _propose(masks: Sequence[Path], names: Sequence[str], out: Path) -> None:
    """Write and print a table of the classes that covers all that the masks hold."""
    content = content_of(masks)
    text = proposal(content, names)
    if text is None:
        if count := len(content.values) + len(content.colours):
            print(
                f"note: the masks hold {count} values or colours, too many for classes: smoothed when they were saved?"
            )
        return
    path = out.with_suffix(".yaml")
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"the proposal cannot be written ({error}): choose another place with out=PATH.png") from error
    print(f"proposal: {path} covers the {len(masks)} masks read; correct the names and save it as ROOT/classes.yaml:")
    lines = text.splitlines()
    more = [f"... {len(lines) - LONGEST_PROPOSAL} more lines"] if len(lines) > LONGEST_PROPOSAL else []
    print("".join(f"    {line}\n" for line in [*lines[:LONGEST_PROPOSAL], *more]), end="")
    ids = sorted(content.values)
    classes = [value for value in ids if not (value == VOID and is_void(ids))]
    if not content.colours and len(classes) > 1 and classes == list(range(len(classes))):
        print(f"The ids run from 0 on: data.source.classes={len(classes)} will do as well.")


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
