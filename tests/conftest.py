"""What the tests share: one thread, and the programs run in this process as from a command line."""

import logging
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import fmean

import pytest
import torch
from helpers.evidence import drawn_evidence

from autosegloss.formulas import PAPER
from autosegloss.ranking import save_evidence
from autosegloss.training.outcome import Checked, Failure, Planned, Result

torch.set_num_threads(1)  # the tensors are small, and threads of a busy machine wait for each other

ROOT = Path(__file__).parent.parent
TINY = [
    "data.source.train=24",
    "data.source.val=8",
    "data.source.test=8",
    "data.source.size=32",
    "data.batch_size=4",
    "trainer.max_steps=2",
    "trainer.accelerator=cpu",
    "network.decoder_channels=16",
]

SEARCH = [  # a search of 2 steps of 2 trials, as in the paper, without runs around them
    "hydra/sweeper=ppo",
    "hydra.sweeper.rungs=[]",
    "metric=macc",
    "data.holdout=8",
    "hydra.sweeper.steps=2",
    "hydra.sweeper.samples=2",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.comparison_seeds=[]",
]


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """`command("train", "loss=dice")` is `python train.py loss=dice` in an empty folder; gives what it printed.

    Where the program ends with a message, SystemExit carries it.
    """
    monkeypatch.chdir(tmp_path)

    def run(program: str, *overrides: str, tiny: bool = True) -> str:
        path = ROOT / f"{program}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *(TINY if tiny else []), *alone(program, overrides), *overrides])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; the fixture puts it back
        try:
            runpy.run_path(str(path), run_name="__main__")
        finally:
            _end_logging()
        return capsys.readouterr().out

    return run


def alone(program: str, overrides: Sequence[str]) -> list[str]:
    """One worker for a search, unless a launcher is given, or none is used: processes take seconds to start."""
    launches = program == "search" and "hydra.mode=RUN" not in overrides
    given = any(override.startswith(("workers=", "hydra/launcher=", "--")) for override in overrides)
    return ["workers=1"] if launches and not given else []


def _end_logging() -> None:
    """Close the log files that Hydra has set up: what is logged later is another test's."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


def start(program: str, directory: Path, *overrides: str) -> subprocess.Popen:
    """`python PROGRAM.py` in a process of its own, with tiny data, that can be interrupted as from a terminal."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / f"{program}.py"), *TINY, *alone(program, overrides), *overrides],
        cwd=directory,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a shell that runs the tests in the background makes its children deaf to SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(process: subprocess.Popen, when: Callable[[], bool]) -> str:
    """Ctrl-C as soon as `when` holds; what the process then wrote to stderr until it ended, within 20 seconds."""
    try:
        deadline = time.monotonic() + 90
        while not when():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=20)[1]
    finally:
        process.kill()
        process.communicate()


class Trainings:
    """In the place of real runs: the score follows from theta at once; run number `interrupted` meets Ctrl-C."""

    def __init__(self):
        self.directories, self.interrupted = [], None

    def __call__(self, cfg, folder, **_) -> Result:
        if len(self.directories) + 1 == self.interrupted:
            raise KeyboardInterrupt
        self.directories.append(Path(folder))
        right = fmean(cfg.theta or [0.5])
        if cfg.evidence:
            splits = {split: drawn_evidence(8, right, cfg.seed) for split in ("holdout", "val")}
            save_evidence(splits, Path(folder))
        result = Result(dict.fromkeys(PAPER, right), {}, 0.2, 0.1)
        result.save(folder)
        return result


class Inline:
    """In the place of a crew: it checks the runs of a search in this process."""

    def check(self, runs: Mapping[str, Planned], read: bool) -> Checked | Failure:
        from autosegloss.training.check import check_runs  # imports Lightning and the networks

        return check_runs(runs, read)


@pytest.fixture
def trainings(monkeypatch):
    trainings = Trainings()
    monkeypatch.setattr("autosegloss.cli.jobs.run_in_subprocess", trainings)
    monkeypatch.setattr("autosegloss.report.summary.write_figures", lambda *_: None)  # they take seconds
    monkeypatch.setattr(import_module("hydra_plugins.autosegloss_sweeper._check"), "crew_of", lambda size: Inline())
    return trainings


@pytest.fixture
def interrupted(command, trainings):
    """`interrupted("found", "metric=bf1")`: a search in that folder, interrupted in its third training."""

    def run(folder: str, *overrides: str) -> None:
        trainings.interrupted = 3
        with pytest.raises(SystemExit, match="interrupted: 2 finished trials are kept"):
            command("search", *SEARCH, *overrides, f"hydra.sweep.dir={folder}")
        trainings.interrupted = None
        trainings.directories.clear()

    return run
