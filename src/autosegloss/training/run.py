"""One training run, from a config to its scores: a trial of the search, a retraining and a baseline are the same."""

from __future__ import annotations

import logging
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import nn

from autosegloss.errors import DivergedError, InputError
from autosegloss.files import whole_file
from autosegloss.formulas import PAPER
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.module import SegmentationModule
from autosegloss.training.networks import build_network
from autosegloss.training.outcome import Result


def run(cfg: DictConfig, directory: str | Path) -> Result:
    """Train the network of `cfg` for trainer.max_steps and judge it; leaves result.json in `directory`.

    Raises InputError for what cannot be trained, DivergedError for a training that failed numerically, and
    KeyboardInterrupt, after saving the weights if wanted, where it was interrupted.
    """
    start = time.perf_counter()
    check_numbers(cfg)
    with _quiet_lightning():
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        trainer: pl.Trainer = instantiate(cfg.trainer, default_root_dir=str(directory))
        data = instantiate(cfg.data, device=trainer.strategy.root_device)
        data.check(trainer.world_size, cfg.test and data.has_test)
        loaders = data.train_dataloader(), data.val_dataloader()  # what is wrong with the data shows before training
        tests = data.test_dataloader() if cfg.test and data.has_test else None
        synchronised = trainer.world_size if trainer.strategy.root_device.type == "cuda" else 1  # see SyncOnGPU
        module = make_module(cfg, data, normalised_over=synchronised * data.batch_size)
        fit_seconds = _fit(cfg, trainer, module, *loaders, Path(directory))
        trained = time.perf_counter()
        scores = trainer.validate(module, loaders[1], verbose=False)[0]
        test = trainer.test(module, tests, verbose=False)[0] if tests else {}
    end = time.perf_counter()
    result = Result(_bare(scores), _bare(test), end - start, fit_seconds, end - trained)
    if trainer.is_global_zero:
        result.save(directory)
    return result


def _fit(cfg: DictConfig, trainer: pl.Trainer, module: SegmentationModule, train, val, directory: Path) -> float:
    """Train; gives the seconds that it took."""
    interrupted, start = False, time.perf_counter()
    try:
        trainer.fit(module, train, val if cfg.validate_every < trainer.max_steps else None)
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the one into the other
        interrupted = True
    seconds = time.perf_counter() - start
    if cfg.save_weights and trainer.is_global_zero:
        with whole_file(directory / "weights.pt") as draft:
            torch.save(module.network.state_dict(), draft)
    if interrupted:
        kept = f"; the weights are kept in {directory}" if cfg.save_weights else ""
        raise KeyboardInterrupt(f"after {trainer.global_step} of {trainer.max_steps} steps{kept}")
    if not all(p.isfinite().all() for p in module.network.parameters()):
        raise DivergedError(f"the training diverged: its weights are not finite after {trainer.global_step} steps")
    return seconds


def check_numbers(cfg: DictConfig) -> None:
    """Raises InputError where a count in `cfg` is none."""
    ones = dict.fromkeys(("threads", "trials_per_gpu", "trainer.max_steps", "validate_every"), 1)
    for key, least in {"seed": 0, **ones}.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} must be a whole number of {least} or more, got {value!r}")


def make_module(
    cfg: DictConfig, data: pl.LightningDataModule, normalised_over: int | None = None
) -> SegmentationModule:
    """The module that `cfg` describes: network (with init_weights if given), loss, metrics, optimiser.

    normalised_over: images that batch normalisation sees at once; None takes those of one batch.
    """
    architecture = instantiate(cfg.network)
    network = build_network(architecture.func, classes=data.num_classes, **architecture.keywords)
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
    if normalises and (normalised_over or data.batch_size) == 1:
        raise InputError("data.batch_size must be 2 or more: the network normalises over the batch, got 1")
    if cfg.init_weights:
        _load_weights(network, cfg.init_weights)
    target = instantiate(cfg.metric)
    members = {**dict.fromkeys(PAPER), target.name: target}  # the target with its options, in its place
    metrics = segmentation_metrics(
        data.num_classes, data.ignore_index, [metric or name for name, metric in members.items()]
    )
    loss = instantiate(cfg.loss, ignore_index=data.ignore_index)
    for part in loss.modules():
        if hasattr(part, "measure") and part.weights is None:  # it weighs classes by how frequent they are
            part.measure(data.class_counts())
    return SegmentationModule(network, loss, metrics, instantiate(cfg.optimizer))


def _load_weights(network: nn.Module, path: str) -> None:
    try:
        network.load_state_dict(_weights(path, os.stat(path).st_mtime_ns))
    except (FileNotFoundError, RuntimeError, ValueError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"init_weights={path} cannot be loaded into this network: {reason}") from error


@lru_cache(maxsize=1)  # the trials of a search all begin with the same
def _weights(path: str, _written: int) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)


def _bare(scores: dict[str, float]) -> dict[str, float]:
    """Scores without their prefix, in the order of the paper."""
    bare = {name.split("/")[-1]: value for name, value in scores.items()}
    return {name: bare[name] for name in dict.fromkeys([*PAPER, *bare]) if name in bare}


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's greetings and its advice to use more workers: the data lie decoded in memory."""
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
