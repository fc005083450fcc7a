"""The Trainer of a run, made from the config alone."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.plugins.environments import TorchElasticEnvironment
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.warnings import PossibleUserWarning

from autosegloss.errors import InputError
from autosegloss.training.averaging import AverageWeights
from autosegloss.training.environment import config_decides, deaf_to_warnings, one_of_several, under_srun
from autosegloss.training.freezing import FreezeEncoder

_ENVIRONMENTS = "pytorch_lightning.plugins.environments"
_SRUN = {"_target_": f"{_ENVIRONMENTS}.SLURMEnvironment", "auto_requeue": False}
_LOCAL = {"_target_": f"{_ENVIRONMENTS}.LightningEnvironment"}


def make_trainer(cfg: DictConfig, folder: Path) -> pl.Trainer:
    """The Trainer that `cfg` describes; it requeues no job."""
    if not one_of_several():
        # at its import Lightning may have taken it from a leftover of a launcher; it sets it where mypy does not look
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
    plugins = [*(given := cfg.trainer.get("plugins") or ()), *_cluster(given)]
    trainer: pl.Trainer = instantiate(cfg.trainer, default_root_dir=str(folder), plugins=plugins)
    trainer.callbacks += _callbacks(cfg)  # type: ignore[attr-defined]  # it has them
    return trainer


def _cluster(plugins: Sequence[Any]) -> list[dict[str, Any]]:
    """The plugin that finds the other processes, where neither the user nor torchrun has chosen one.

    Lightning would look for a cluster of MPI at last, and to look starts MPI: that ends the process where MPI is
    installed but does not run.
    """
    if under_srun():
        return [_SRUN]
    chosen = any(str(plugin.get("_target_", "")).endswith("Environment") for plugin in plugins)
    return [] if chosen or TorchElasticEnvironment.detect() else [_LOCAL]


def _callbacks(cfg: DictConfig) -> Iterator[pl.Callback]:
    """What the settings outside of `trainer` add to its callbacks."""
    if (decay := cfg.get("ema")) is not None:
        yield AverageWeights(decay)
    if (steps := cfg.get("freeze_encoder")) is not None:
        yield FreezeEncoder(steps)
    if (patience := cfg.get("early_stopping")) is not None:
        metric = cfg.get("monitor") or instantiate(cfg.metric).name
        yield EarlyStopping(f"val/{metric}", patience=patience, mode="max", check_finite=False)
    for own in (cfg.get("callbacks") or {}).values():
        yield instantiate(own)


@contextmanager
def tamed_lightning() -> Iterator[None]:
    """Within it the config decides what Lightning does, and Lightning is silent; its complaints are InputErrors."""
    try:
        with config_decides(), deaf_to_warnings(), _quiet():
            yield
    except MisconfigurationException as error:
        raise InputError(f"trainer: {' '.join(str(error).split())}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's start-up messages, and its advice to use more workers: the data are decoded in memory."""
    levels = {
        logging.getLogger(name): logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")
    }
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6 on torch 2.14
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
