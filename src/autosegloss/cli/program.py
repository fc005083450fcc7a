"""The console program: `autosegloss train` and `autosegloss search` are train.py and search.py of a checkout."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from autosegloss.cli.help import ALL, SEARCH, TRAIN, Help
from autosegloss.cli.streams import guarded_output
from autosegloss.errors import not_installed
from autosegloss.files import config_folder


def train() -> None:
    """The program train."""
    _run("train", TRAIN)


def search() -> None:
    """The program search."""
    _run("search", SEARCH)


class Program(NamedTuple):
    """A program, and what it does in a few words."""

    start: Callable[[], None]
    what: str


def _program(name: str, what: str) -> Program:
    """The program in a file of this folder."""

    def start() -> None:
        _require_training()
        import_module(f"autosegloss.cli.{name}").main()

    return Program(start, what)


PROGRAMS = {
    "search": Program(search, "search the loss for a metric"),
    "train": Program(train, "train a network with any loss and judge it by all metrics"),
    "evaluate": _program("evaluate", "judge a network, or masks in files, in detail"),
    "predict": _program("predict", "masks of a folder of images"),
    "export": _program("export", "a network as ONNX, or for torch.export"),
    "compare": _program("compare", "a table and a figure of several runs"),
    "figure": _program("figure", "curves and predictions, as in the paper's figures"),
    "data": _program("data", "look through a data set"),
    "report": _program("report", "the tables of the paper, filled from runs"),
}
"""The programs by name."""


def main() -> None:
    """Run one of PROGRAMS with the arguments that follow its name on the command line."""
    programs = "\n".join(f"  {name:10}{program.what}" for name, program in PROGRAMS.items())
    parser = argparse.ArgumentParser(
        "autosegloss",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"autosegloss {{{','.join(PROGRAMS)}}} [KEY=VALUE ...]",
        description="Segmentation losses searched for the metric that a network is judged by.",
        epilog=f"programs:\n{programs}\n\nautosegloss PROGRAM --help shows what each takes, with examples.",
    )
    parser.add_argument("program", choices=PROGRAMS, metavar="PROGRAM", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    with guarded_output():
        chosen = parser.parse_args()
    sys.argv[1:] = chosen.arguments
    PROGRAMS[chosen.program].start()


def _run(name: str, page: Help) -> None:
    """Compose the configuration of train or search with the arguments on the command line, and run it."""
    with guarded_output():
        if page.shown(sys.argv[1:]):
            return
    _require_training()
    import hydra

    from autosegloss.cli.errors import run_program
    from autosegloss.cli.jobs import job, trial
    from autosegloss.cli.resume import started_with

    task: Callable[[Any], Any] = {"train": job, "search": trial}[name]

    def main() -> None:
        typed = ["--help" if argument == ALL else argument for argument in sys.argv[1:]]
        sys.argv[1:] = started_with(typed) if name == "train" else typed
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=name)(task)()

    run_program(main)


def _require_training() -> None:
    """End the program with one line where the system, or a package of the extra `train`, is missing."""
    if not hasattr(os, "killpg"):
        sys.exit("error: the programs need Linux or macOS, or WSL on Windows; losses and metrics work here")
    if missing := [package for package in ("hydra", "pytorch_lightning") if find_spec(package) is None]:
        sys.exit(f"error: {not_installed('training', ' and '.join(missing), extra='train')}")


if __name__ == "__main__":
    main()
