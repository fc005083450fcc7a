"""The length of a training in steps, whether the configuration gives steps or epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from autosegloss.training.callbacks import ValidateEvery

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData


def set_length(trainer: pl.Trainer, cfg: DictConfig, data: SegmentationData) -> DictConfig:
    """Let the Trainer stop after the steps of `cfg`, count its epochs, and validate every cfg.validate_every steps.

    Args:
        trainer: it has not begun.
        cfg: trainer.max_epochs, if it is given, takes the place of trainer.max_steps.
        data: what is trained on.

    Returns:
        The configuration with the number of steps as trainer.max_steps.
    """
    per_epoch = steps_per_epoch(trainer, data)
    epochs = cfg.trainer.get("max_epochs")
    if epochs not in (None, -1):
        cfg = OmegaConf.merge(cfg, {"trainer": {"max_steps": epochs * per_epoch}})  # type: ignore[assignment]
    if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # which sets a length of its own
        trainer.fit_loop.epoch_loop.max_steps = cfg.trainer.max_steps
        trainer.fit_loop.max_epochs = math.ceil(cfg.trainer.max_steps / per_epoch)  # for the progress bar
    trainer.callbacks.append(ValidateEvery(cfg.validate_every))  # type: ignore[attr-defined]  # it has them
    return cfg


def steps_per_epoch(trainer: pl.Trainer, data: SegmentationData) -> int:
    """The steps in a pass over the training images; the last one of a pass may take fewer batches than the others.

    The loader does not tell: it counts the processes, which may join later.
    """
    batches = len(data.parts[0]) // trainer.world_size // data.batch_size
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))
