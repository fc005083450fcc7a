"""One training run, from a config to its scores: a trial of the search, a retraining and a baseline are the same."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.utilities.warnings import PossibleUserWarning

from autosegloss.errors import InputError
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
    """Train the network of `cfg` for trainer.max_steps and judge it; leaves result.json in `directory`."""
    start = time.perf_counter()
    with _quiet_lightning():
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        data = instantiate(cfg.data)
        module = make_module(cfg, data)
        trainer: pl.Trainer = instantiate(cfg.trainer, default_root_dir=str(directory))
        during = {"val_dataloaders": data.val_dataloader()} if cfg.validate_every < trainer.max_steps else {}
        trainer.fit(module, data.train_dataloader(), **during)
        scores = trainer.validate(module, data.val_dataloader(), verbose=False)[0]
        test = trainer.test(module, data.test_dataloader(), verbose=False)[0] if cfg.test else {}
    if cfg.save_weights:
        torch.save(module.network.state_dict(), Path(directory, "weights.pt"))
    result = Result(_bare(scores), _bare(test), time.perf_counter() - start)
    result.save(directory)
    return result


def make_module(cfg: DictConfig, data: pl.LightningDataModule) -> SegmentationModule:
    """The module that `cfg` describes: network (with init_weights if given), loss, metrics, optimiser."""
    architecture = instantiate(cfg.network)
    network = build_network(architecture.func, classes=data.num_classes, **architecture.keywords)
    if cfg.init_weights:
        network.load_state_dict(_weights(cfg.init_weights))
    target = instantiate(cfg.metric)
    others = [name for name in PAPER if name != target.name]
    metrics = segmentation_metrics(data.num_classes, data.ignore_index, [target, *others])
    loss = instantiate(cfg.loss, ignore_index=data.ignore_index)
    return SegmentationModule(network, loss, metrics, instantiate(cfg.optimizer))


def _weights(path: str) -> dict[str, torch.Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"init_weights={path} cannot be read: {error}") from error


def _bare(scores: dict[str, float]) -> dict[str, float]:
    return {name.split("/")[-1]: value for name, value in scores.items()}


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
