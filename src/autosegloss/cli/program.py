"""The console program: `autosegloss train` and `autosegloss search` are train.py and search.py of a checkout."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autosegloss.cli.streams import guarded_output
from autosegloss.errors import not_installed


def train() -> None:
    """Train a network with any loss and judge it by all metrics: autosegloss train loss=searched_miou"""
    _require_training()
    from autosegloss.cli.jobs import job
    from autosegloss.cli.resume import started_with

    _run("train", job, started_with)


def search() -> None:
    """Search the loss for a metric: autosegloss search metric=miou"""
    _require_training()
    from autosegloss.cli.jobs import trial

    _run("search", trial)


PROGRAMS: dict[str, Callable[[], None]] = {"train": train, "search": search}


def main() -> None:
    """Run one of PROGRAMS with the arguments that follow its name on the command line."""
    programs = "\n".join(f"  {name:8}{program.__doc__}" for name, program in PROGRAMS.items())
    parser = argparse.ArgumentParser(
        "autosegloss", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"programs:\n{programs}"
    )
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the program; --help lists them")
    with guarded_output():
        chosen = parser.parse_args()
    sys.argv[1:] = chosen.arguments
    PROGRAMS[chosen.program]()


def config_folder() -> Path:
    """The folder of the configuration: autosegloss/conf of an installed wheel, or conf/ of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def _run(config_name: str, task: Callable[[Any], Any], complete: Callable[[list[str]], list[str]] = list) -> None:
    """Compose the configuration with the arguments on the command line, completed, and call the task with it."""
    import hydra

    from autosegloss.cli.errors import run_program

    def main() -> None:
        sys.argv[1:] = complete(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config_name)(task)()

    run_program(main)


def _require_training() -> None:
    """End the program with one line where the system, or a package of the extra `train`, is missing."""
    if not hasattr(os, "killpg"):
        sys.exit("error: train and search need Linux or macOS, or WSL on Windows; losses and metrics work here")
    if missing := [package for package in ("hydra", "pytorch_lightning") if find_spec(package) is None]:
        sys.exit(f"error: {not_installed('training', ' and '.join(missing), extra='train')}")
