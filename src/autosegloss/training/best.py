"""The best weights of a training, by a metric on the validation data."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torchmetrics import MetricCollection

from autosegloss.errors import unknown, whole_number
from autosegloss.training.resuming import CHECKPOINTS
from autosegloss.training.weights_file import save_weights

_PREFIX = "val/"


class Best(NamedTuple):
    """Weights of the network, on the CPU, with their score and step."""

    score: float
    step: int
    weights: dict[str, Tensor]


class BestWeights(pl.Callback):
    """Keeps the weights of the validation with the highest score; of equal ones the first counts.

    It must come before callbacks that train with other weights than they validate.

    Args:
        folder: of the run; checkpoints/METRIC_SCORE_step_N.pt in it are the `keep` best.
        monitor: the name of a metric.
        keep: the number of files; 0 writes none.

    Raises:
        InputError: if `keep` is not an integer of 0 or more and, when the training begins, for an unknown metric.
    """

    def __init__(self, folder: Path, monitor: str, keep: int):
        self.folder, self.monitor = folder / CHECKPOINTS, monitor
        self.keep = whole_number("checkpoint.keep_best", keep, least=0)
        self.best: Best | None = None
        self._files: list[tuple[float, int]] = []  # score and step, the best first
        self._told = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        metrics = pl_module.val_metrics
        assert isinstance(metrics, MetricCollection)  # of a SegmentationModule
        names = [str(name).removeprefix(_PREFIX) for name in metrics]
        if self.monitor not in names:
            raise unknown("monitor", self.monitor, names)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        score = float(trainer.callback_metrics[_PREFIX + self.monitor])
        if math.isnan(score):  # not defined on these images
            return
        network: Any = pl_module.network
        weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        now = Best(score, trainer.global_step, weights)
        if self.best is None or score > self.best.score:
            self.best = now
        dropped = self._rank(now)
        if trainer.is_global_zero:
            self._write(now, dropped)

    def _rank(self, now: Best) -> list[str]:
        """Take the weights into the list of files; returns the names of those that are not among the best."""
        ranked = sorted([*self._files, (now.score, now.step)], key=lambda file: (-file[0], file[1]))
        self._files, dropped = ranked[: self.keep], ranked[self.keep :]
        return [self._name(*file) for file in dropped]

    def _write(self, now: Best, dropped: Sequence[str]) -> None:
        name = self._name(now.score, now.step)
        if name not in dropped and (told := save_weights(now.weights, self.folder / name)):
            self._tell(told)
        for other in dropped:
            (self.folder / other).unlink(missing_ok=True)

    def _name(self, score: float, step: int) -> str:
        return f"{self.monitor}_{score:.4f}_step_{step}.pt"

    def _tell(self, told: str) -> None:
        if not self._told:
            print(f"note: {told}: the training goes on", file=sys.stderr)
        self._told = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best and tuple(self.best), "files": self._files}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"] and Best(*state_dict["best"])
        self._files = list(state_dict["files"])
