"""Checkpoints during a training: by steps, by minutes, and when a cluster asks for one or ends the training."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import distributed as dist

from autosegloss.errors import positive, whole_number
from autosegloss.training.callbacks import LogFile
from autosegloss.training.checkpoint_files import FORMAT, OURS, Progress
from autosegloss.training.resuming import checkpoint_path

_ASK = getattr(signal, "SIGUSR1", None)  # clusters send it some time before SIGTERM


class Paused(BaseException):
    """A training has reached the step to pause at, and its checkpoint is written; no error, hence no Exception."""


class Checkpoints(pl.Callback):
    """Saves checkpoints of a training, from which it goes on bit for bit.

    Each is written when a batch is about to begin and the step before it is wholly done, its validation and its lines
    in the log included. SIGUSR1 asks for one; after SIGTERM one is written and the training ends with SIGTERMException.
    At the step `pause_at` one is written and the training ends with Paused.
    It must be the first callback: what others do at the start of a batch is then done again.

    Args:
        folder: of the run.
        config: what the result depends on, as `resuming.comparable` gives it; it is kept in the checkpoint.
        every_n_steps: None saves none by steps.
        every_minutes: None saves none by time.
        pause_at: None does not pause.
        progress: the checkpoint that this training goes on from.

    Raises:
        InputError: for a number that is not above 0.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        every_n_steps: int | None = None,
        every_minutes: float | None = None,
        pause_at: int | None = None,
        progress: Progress | None = None,
    ):
        self.folder, self.config, self._progress = folder, dict(config), progress
        self.every_n_steps = (
            None if every_n_steps is None else whole_number("checkpoint.every_n_steps", every_n_steps, least=1)
        )
        self.every_minutes = None if every_minutes is None else positive("checkpoint.every_minutes", every_minutes)
        self.pause_at = None if pause_at is None else whole_number("checkpoint.pause_at", pause_at, least=1)
        self._asked = self._ends = False
        self._step = 0
        self._earlier = progress.seconds if progress else 0.0
        self._begun = self._saved = time.monotonic()
        self._users: Any = None

    @property
    def seconds(self) -> float:
        """The time that the training has taken, earlier parts of it included."""
        return self._earlier + time.monotonic() - self._begun

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember the user's own handler of SIGTERM, before Lightning puts one of its own in its place."""
        self._users = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        self._begun = self._saved = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGTERM, self._end)  # Lightning restores all handlers after the fit
        if _ASK and signal.getsignal(_ASK) in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(_ASK, self._ask)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._progress:
            _set_random_state(self._progress.random[trainer.global_rank], trainer.strategy.root_device)
            self._progress = None
        if trainer.global_step == self.pause_at:
            trainer.save_checkpoint(checkpoint_path(self.folder, self.pause_at))
            raise Paused
        if trainer.global_step == self._step:  # batches of one step: its gradients are not in a checkpoint
            return
        self._step = trainer.global_step
        together = trainer.strategy.reduce_boolean_decision
        if together(self._asked or self._ends or self._due(), all=False):
            ends = together(self._ends, all=False)
            trainer.save_checkpoint(checkpoint_path(self.folder, self._step))
            self._asked, self._saved = False, time.monotonic()
            if ends:
                raise SIGTERMException

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """End a long validation, too; processes that train together have unequally many batches of it."""
        if self._ends and trainer.world_size == 1:
            raise SIGTERMException

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.strategy.reduce_boolean_decision(self._ends, all=False):
            raise SIGTERMException

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning leaves out, and take back that it has fetched the batch that is about to begin."""
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for count in (batches["total"], batches["current"]):
            count["ready"] = count["completed"]
        batches["is_last_batch"] = False
        logs = [logger.content for logger in trainer.loggers if isinstance(logger, LogFile)]
        checkpoint[OURS] = {
            "format": FORMAT,
            "config": self.config,
            "random": _of_all_processes(_random_state(trainer.strategy.root_device)),
            "log": logs[0] if logs else None,
            "seconds": self.seconds,
        }

    def _due(self) -> bool:
        by_steps = self.every_n_steps is not None and self._step % self.every_n_steps == 0
        by_time = self.every_minutes is not None and time.monotonic() - self._saved > 60 * self.every_minutes
        return by_steps or by_time

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ends = True
        if callable(self._users):
            self._users(number, frame)


def _random_state(device: torch.device) -> dict[str, Any]:
    """The states of all random generators of this process."""
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state(), **cuda}


def _set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def _of_all_processes(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The states of the processes that train together, by rank."""
    if not (dist.is_available() and dist.is_initialized()):
        return [state]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states
