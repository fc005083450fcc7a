"""One training run, from a config to its scores: a trial of the search, a retraining and a baseline are the same."""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import nn

from autosegloss.errors import DivergedError, InputError
from autosegloss.formulas import PAPER
from autosegloss.metrics import segmentation_metrics
from autosegloss.models import SegmentationModule, build_network

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """What a run leaves behind: scores of the six metrics and the target on the validation data, test if asked for."""

    scores: dict[str, float]
    test: dict[str, float]
    seconds: float

    def save(self, directory: str | Path) -> None:
        """Write result.json whole or not at all."""
        path = Path(directory, RESULT)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(vars(self), indent=1))
        os.replace(draft, path)

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        return cls(**json.loads(Path(directory, RESULT).read_text()))


def run(cfg: DictConfig, directory: str | Path) -> Result:
    """Train the network of `cfg` for trainer.max_steps and judge it; leaves result.json in `directory`.

    Raises InputError for what cannot be trained, DivergedError for a training that failed numerically, and
    KeyboardInterrupt, after saving the weights if wanted, where it was interrupted.
    """
    start = time.perf_counter()
    _check_numbers(cfg)
    with _quiet_lightning():
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        data = instantiate(cfg.data)
        loaders = data.train_dataloader(), data.val_dataloader()  # what is wrong with the data shows before training
        tests = data.test_dataloader() if cfg.test and data.has_test else None
        module = make_module(cfg, data)
        trainer: pl.Trainer = instantiate(cfg.trainer, default_root_dir=str(directory))
        _fit(cfg, trainer, module, *loaders, Path(directory))
        scores = trainer.validate(module, loaders[1], verbose=False)[0]
        test = trainer.test(module, tests, verbose=False)[0] if tests else {}
    result = Result(_bare(scores), _bare(test), time.perf_counter() - start)
    if trainer.is_global_zero:
        result.save(directory)
    return result


def _fit(cfg: DictConfig, trainer: pl.Trainer, module: SegmentationModule, train, val, directory: Path) -> None:
    interrupted = False
    try:
        trainer.fit(module, train, val if cfg.validate_every < trainer.max_steps else None)
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the one into the other
        interrupted = True
    if cfg.save_weights and trainer.is_global_zero:
        torch.save(module.network.state_dict(), directory / "weights.pt")
    if interrupted:
        kept = f"; the weights are kept in {directory}" if cfg.save_weights else ""
        raise KeyboardInterrupt(f"after {trainer.global_step} of {trainer.max_steps} steps{kept}")
    if not all(p.isfinite().all() for p in module.network.parameters()):
        raise DivergedError(f"the training diverged: its weights are not finite after {trainer.global_step} steps")


def _check_numbers(cfg: DictConfig) -> None:
    for key, least in {"seed": 0, "threads": 1, "trainer.max_steps": 1, "validate_every": 1}.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} must be a whole number of {least} or more, got {value!r}")


def make_module(cfg: DictConfig, data: pl.LightningDataModule) -> SegmentationModule:
    """The module that `cfg` describes: network (with init_weights if given), loss, metrics, optimiser."""
    architecture = instantiate(cfg.network)
    network = build_network(architecture.func, classes=data.num_classes, **architecture.keywords)
    if data.batch_size == 1 and any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules()):
        raise InputError("data.batch_size must be 2 or more: the network normalises over the batch, got 1")
    if cfg.init_weights:
        _load_weights(network, cfg.init_weights)
    target = instantiate(cfg.metric)
    members = {**dict.fromkeys(PAPER), target.name: target}  # the target with its options, in its place
    metrics = segmentation_metrics(
        data.num_classes, data.ignore_index, [metric or name for name, metric in members.items()]
    )
    loss = instantiate(cfg.loss, ignore_index=data.ignore_index)
    return SegmentationModule(network, loss, metrics, instantiate(cfg.optimizer))


def _load_weights(network: nn.Module, path: str) -> None:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"init_weights={path} cannot be loaded into this network: {reason}") from error


def _bare(scores: dict[str, float]) -> dict[str, float]:
    """Scores without their prefix, in the order of the paper."""
    bare = {name.split("/")[-1]: value for name, value in scores.items()}
    return {name: bare[name] for name in dict.fromkeys([*PAPER, *bare]) if name in bare}


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's greetings and its advice to use more workers: the data lie decoded in memory."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6 on torch 2.14
            yield
    finally:
        logger.setLevel(level)
