"""Failures on purpose: a callback that makes trainings raise, die or hang, as often as planned and no more."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch

PLAN, STARTS, MET = "plan.json", "starts.log", "met"
MOMENTS = ("start", "step", "end")  # of the training, after its first step, and just before there is a result


class Fault(NamedTuple):
    """How a run fails, when, and in which of its processes."""

    kind: str
    moment: str = "start"
    rank: int = 0


def plan(folder: Path, faults: Mapping[str, Sequence[Fault]]) -> str:
    """Write down {run folder: its faults, in this order}; gives the override of a search that meets them."""
    folder.mkdir(parents=True)
    (folder / MET).mkdir()
    (folder / PLAN).write_text(json.dumps(faults))
    callbacks = (
        "{_target_:autosegloss.training.callbacks.StopIfDiverged,every_n_steps:10}",
        f"{{_target_:helpers.faults.Faults,folder:'{folder}'}}",
    )
    return f"trainer.callbacks=[{','.join(callbacks)}]"


def met(folder: Path) -> Counter[str]:
    """How many faults of each kind have come to pass."""
    return Counter(marker.name.partition(" ")[0] for marker in (folder / MET).iterdir())


def started(folder: Path) -> int:
    """How many trainings have begun."""
    path = folder / STARTS
    return path.read_text().count("\n") if path.exists() else 0


class Faults(pl.Callback):
    """Meets a run with the first of its faults in `folder` that it has not met; each leaves a file behind."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        self.run, self.faults = "", []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.run = "/".join(Path(trainer.default_root_dir).parts[-2:])
        faults = json.loads((self.folder / PLAN).read_text())
        self.faults = [Fault(*fault) for name, own in faults.items() if self.run.endswith(name) for fault in own]
        if trainer.is_global_zero:
            with (self.folder / STARTS).open("a") as file:
                file.write(f"{self.run}\n")
        self._meet("start", trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        self._meet("step", trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._meet("end", trainer, pl_module)

    def _meet(self, moment: str, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for number, fault in enumerate(self.faults):
            if fault.kind == "nan":  # lasts: a training that diverges does so each time
                _fail(fault.kind, module)
            marker = self.folder / MET / f"{fault.kind} {number} {self.run.replace('/', ' ')}"
            if fault.kind == "nan" or marker.exists():
                continue
            if (fault.moment, fault.rank) == (moment, trainer.global_rank):
                marker.touch(exist_ok=False)
                _fail(fault.kind, module)
            return


def _fail(kind: str, module: pl.LightningModule) -> None:
    match kind:
        case "raise":
            raise RuntimeError("raised on purpose")
        case "memory":
            raise torch.OutOfMemoryError("out of memory on purpose")
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "launcher":  # the process that Hydra's launcher made for this run, and that made this one
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(3600)
        case "nan":
            for parameter in module.parameters():
                torch.nn.init.constant_(parameter, torch.nan)
        case _:
            raise ValueError(f"unknown fault {kind!r}")
