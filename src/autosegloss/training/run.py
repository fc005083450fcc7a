"""One run, from a config to its outcome: a trial of the search, a retraining and a baseline are the same."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import nn
from torch.utils.data import DataLoader

from autosegloss.errors import DivergedError, InputError
from autosegloss.files import whole_file
from autosegloss.formulas import PAPER, BoundaryF1, BoundaryIoU
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.failures import console_is_gone, record_failure
from autosegloss.training.module import SegmentationModule
from autosegloss.training.networks import build_network
from autosegloss.training.outcome import WEIGHTS, Outcome, Result, scored_at

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData


def run(config: DictConfig | Mapping[str, Any], folder: str | Path) -> Outcome:
    """Train the network of `config` for trainer.max_steps and judge it.

    The outcome is written into `folder`, too. An interrupted training saves its weights if save_weights is set.

    Raises:
        BrokenPipeError: the reader of the console is gone (`| head`).
        SystemExit: likewise, found by the progress bar; the exit code is that of a process which SIGPIPE has killed.
    """
    try:
        cfg = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
        outcome: Outcome = train(cfg, Path(folder))
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        failure = record_failure(error, folder)
        if console_is_gone(error):
            raise SystemExit(128 + signal.SIGPIPE) from None
        if failure.kind == "failed":
            traceback.print_exc()
        outcome = failure
    if torch.cuda.is_initialized():  # the next training on this GPU, maybe of another process, needs the memory
        gc.collect()
        torch.cuda.empty_cache()
    return outcome


def train(cfg: DictConfig, folder: Path) -> Result:
    """Train and judge as `run` does; the process of rank 0 writes the result into `folder`.

    Raises InputError if the config cannot be trained, DivergedError if loss or weights are not finite, and
    KeyboardInterrupt.
    """
    start = time.perf_counter()
    check_numbers(cfg)
    with _quiet_lightning():
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        trainer: pl.Trainer = instantiate(cfg.trainer, default_root_dir=str(folder))
        data: SegmentationData = instantiate(cfg.data, device=trainer.strategy.root_device)
        data.check(trainer.world_size, cfg.test and data.has_test)
        loaders = data.train_dataloader(), data.val_dataloader()  # faults of the data show before the training
        tests = data.test_dataloader() if cfg.test and data.has_test else None
        synchronised = trainer.world_size if trainer.strategy.root_device.type == "cuda" else 1  # see SyncOnGPU
        module = make_module(cfg, data, effective_batch_size=synchronised * data.batch_size)
        fit_seconds = _fit(cfg, trainer, module, *loaders, folder)
        trained = time.perf_counter()
        scores = trainer.validate(module, loaders[1], verbose=False)[0]
        test = trainer.test(module, tests, verbose=False)[0] if tests else {}
    end = time.perf_counter()
    seconds = end - start, fit_seconds, end - trained
    result = Result(_without_prefix(scores), _without_prefix(test), *seconds, scored_at=scored_at(cfg.data))
    if trainer.is_global_zero:
        result.save(folder)
    return result


def _fit(
    cfg: DictConfig,
    trainer: pl.Trainer,
    module: SegmentationModule,
    train_loader: DataLoader,
    val_loader: DataLoader,
    folder: Path,
) -> float:
    """Train, save the weights if save_weights is set, and return the seconds that the training took."""
    interrupted: BaseException | None = None
    start = time.perf_counter()
    try:
        trainer.fit(module, train_loader, val_loader if cfg.validate_every < trainer.max_steps else None)
    except (KeyboardInterrupt, SystemExit) as error:  # Lightning turns KeyboardInterrupt into SystemExit
        interrupted = error
    seconds = time.perf_counter() - start
    if cfg.save_weights and trainer.is_global_zero:
        with whole_file(folder / WEIGHTS) as draft:
            torch.save(module.network.state_dict(), draft)
    if interrupted and console_is_gone(interrupted):
        raise interrupted
    if interrupted:
        kept = f"; the weights are kept in {folder}" if cfg.save_weights else ""
        raise KeyboardInterrupt(f"after {trainer.global_step} of {trainer.max_steps} steps{kept}")
    if not all(p.isfinite().all() for p in module.network.parameters()):
        raise DivergedError(f"the training diverged: its weights are not finite after {trainer.global_step} steps")
    return seconds


def check_numbers(cfg: DictConfig) -> None:
    """Raise InputError if a count in `cfg` is not a whole number, or too small."""
    ones = dict.fromkeys(("threads", "trials_per_gpu", "trainer.max_steps", "validate_every"), 1)
    for key, least in {"seed": 0, **ones}.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} must be a whole number of {least} or more, got {value!r}")


def make_module(cfg: DictConfig, data: SegmentationData, effective_batch_size: int | None = None) -> SegmentationModule:
    """Make the module that `cfg` describes: network (with init_weights if given), loss, metrics, optimiser.

    effective_batch_size: images that batch normalisation sees at once; None means data.batch_size. Raises InputError
    if a part cannot be made, or if batch normalisation would see one image.
    """
    architecture = instantiate(cfg.network)
    network = build_network(
        architecture.func, classes=data.num_classes, bands=data.source.channels, **architecture.keywords
    )
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
    if normalises and (effective_batch_size or data.batch_size) == 1:
        raise InputError("data.batch_size must be 2 or more: the network normalises over the batch, got 1")
    if cfg.init_weights:
        _load_weights(network, cfg.init_weights)
    target = instantiate(cfg.metric)
    boundaries = BoundaryIoU(data.boundary.width), BoundaryF1(data.boundary.tolerance)
    optional = {formula.name: formula for formula in (*boundaries, target)}  # the target with options of its own
    members = {**dict.fromkeys(PAPER), **optional}
    metrics = segmentation_metrics(
        data.num_classes, data.ignore_index, [metric or name for name, metric in members.items()]
    )
    loss = instantiate(cfg.loss, ignore_index=data.ignore_index)
    for part in loss.modules():
        if hasattr(part, "measure") and part.weights is None:  # it weighs classes by their frequency
            part.measure(data.class_counts())
    return SegmentationModule(network, loss, metrics, instantiate(cfg.optimizer))


def _load_weights(network: nn.Module, path: str) -> None:
    try:
        network.load_state_dict(read_weights(path, os.stat(path).st_mtime_ns))
    except (FileNotFoundError, RuntimeError, ValueError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"init_weights={path} cannot be loaded into this network: {reason}") from error


@lru_cache(maxsize=1)  # all trials of a search begin with the same weights
def read_weights(path: str, written: int) -> dict[str, torch.Tensor]:
    """The state that a weights.pt holds; `written`, the time of its last change, is part of the cache's key."""
    return torch.load(path, map_location="cpu", weights_only=True)


def _without_prefix(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores without "val/" or "test/", in the order of the paper."""
    short = {name.split("/")[-1]: value for name, value in scores.items()}
    return {name: short[name] for name in dict.fromkeys([*PAPER, *short]) if name in short}


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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
