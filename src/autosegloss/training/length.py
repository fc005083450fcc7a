"""The length of a training in steps, whether the configuration gives steps or epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from autosegloss.training.callbacks import ValidateEvery
from autosegloss.training.settings import check_validations

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

    Raises:
        InputError: a setting needs validations between the steps, and there are none.
    """
    cfg = in_steps(cfg, data, trainer.world_size)
    if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # which sets a length of its own
        trainer.fit_loop.epoch_loop.max_steps = cfg.trainer.max_steps
        trainer.fit_loop.max_epochs = math.ceil(
            cfg.trainer.max_steps / steps_per_epoch(cfg, data, trainer.world_size)
        )  # for the bar
    trainer.callbacks.append(ValidateEvery(cfg.validate_every))  # type: ignore[attr-defined]  # it has them
    return cfg


def in_steps(cfg: DictConfig, data: SegmentationData, devices: int) -> DictConfig:
    """The configuration with the number of steps as trainer.max_steps.

    Raises InputError if a setting needs validations between the steps, and there are none.
    """
    epochs = cfg.trainer.get("max_epochs")
    if epochs not in (None, -1):
        steps = epochs * steps_per_epoch(cfg, data, devices)
        merged = OmegaConf.merge(cfg, {"trainer": {"max_steps": steps}})
        assert isinstance(merged, DictConfig)  # as what it is merged into
        cfg = merged
    check_validations(cfg)
    return cfg


def steps_per_epoch(cfg: DictConfig, data: SegmentationData, devices: int) -> int:
    """The steps in a pass over the training images; the last one of a pass may take fewer batches than the others.

    The loader does not tell: it counts the processes, which may join later.
    """
    batches = len(data.parts[0]) // devices // data.batch_size
    limit = cfg.trainer.get("limit_train_batches")
    limit = 1.0 if limit is None else limit
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, math.ceil(batches / (cfg.trainer.get("accumulate_grad_batches") or 1)))
