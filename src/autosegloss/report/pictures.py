"""Pictures in TensorBoard and Weights & Biases: what the network predicts, and the curves of its loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from autosegloss import SurrogateLoss, ThetaCard
from autosegloss.data.transforms import as_rgb, denormalise
from autosegloss.errors import InputError, whole_number
from autosegloss.report.figures import samples_figure
from autosegloss.report.summary import card_figure
from autosegloss.tasks import Task
from autosegloss.training.module import SegmentationModule, predicted


class LogPictures(pl.Callback):
    """Logs predictions at every validation, and at the beginning the curves of every surrogate in the loss.

    Args:
        shown: images at most, of the first batch to validate on.

    Raises:
        InputError: shown is not a number of 1 or more; when the training begins, no logger takes pictures.
    """

    def __init__(self, shown: int = 3):
        self.shown = whole_number("callbacks.pictures.shown", shown, least=1)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if not any(isinstance(logger, TensorBoardLogger | WandbLogger) for logger in trainer.loggers):
            raise InputError("callbacks=pictures needs a logger that takes them: logger=tensorboard or logger=wandb")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, SegmentationModule)
        surrogates = [part for part in pl_module.loss.modules() if isinstance(part, SurrogateLoss) and part.theta]
        for loss in surrogates:
            theta = {name: rows.cpu() for name, rows in loss.theta.items()}
            card = ThetaCard(loss.formula, loss.curve, theta, loss.average.rule, task=loss.task.name)
            _log(trainer, f"curves of {loss.formula.name}", card_figure(card))

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx:
            return
        assert isinstance(pl_module, SegmentationModule)
        images, labels = (part[: self.shown] for part in batch[0])  # the first of one size
        logits = pl_module(images)
        columns = {"ground truth": labels, "predicted": predicted(logits, labels.shape[-2:], pl_module.task)}
        figure = samples_figure(
            as_rgb(denormalise(images.float())).cpu().numpy(),
            {title: maps.cpu().numpy() for title, maps in columns.items()},
            _class_names(logits.shape[1], pl_module.task),
            getattr(pl_module.loss, "ignore_index", None),  # a loss of the user's may have none
        )
        _log(trainer, "predictions", figure)


def _class_names(channels: int, task: Task) -> list[str]:
    """Names by number, but where the task has some of its own, as background and foreground, which have one logit."""
    return list(task.usual_classes) or [f"class {number}" for number in range(channels)]


def _log(trainer: pl.Trainer, name: str, figure: Figure) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, figure, trainer.global_step)
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [_pixels(figure)])


def _pixels(figure: Figure) -> np.ndarray:
    """The figure as RGB, (H, W, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
