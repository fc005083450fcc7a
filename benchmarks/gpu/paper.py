"""The trial of the paper: its settings on generated scenes of 21 classes, and one such training in this process.

DeepLabv3+ with ResNet-50 at output stride 8, 128x128, batch 32, 21 classes, 1000 steps, 1500 images to judge; the
scenes stand for PASCAL VOC, which takes nothing from the times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from autosegloss.training import run as training
from autosegloss.training.outcome import Failure, Result

CONF = Path(__file__).resolve().parents[2] / "conf"
TRIALS, STEPS, IMAGES = 640, 1000, 1500

GPU = ["trainer=gpu", "profile=paper", "network.encoder_weights=null", "data.size=[128,128]", "data.source.size=128"]
CPU = ["trainer.accelerator=cpu", "network.decoder_channels=16", "data.source.size=32", "data.batch_size=4"]
SCENES = ["data=shapes", "data.source._target_=gpu.many_classes.Scenes"]


def settings(dry: bool, *more: str, train: int = 1600, judged: int = IMAGES) -> DictConfig:
    """The configuration of a trial with `train` images to learn from and `judged` to judge, as search.py makes it."""
    train, judged = (16, 8) if dry else (train, judged)
    count = [f"data.source.train={train + judged}", f"data.holdout={judged}", "data.source.val=0", "data.source.test=0"]
    return composed(*SCENES, *(CPU if dry else GPU), *count, *more)


def composed(*overrides: str) -> DictConfig:
    """The configuration of search.py with overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("search", list(overrides))


def trained(cfg: DictConfig) -> Result:
    """The result of a training in this process; RuntimeError if it has none."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = training.run(cfg, folder)
    if isinstance(outcome, Failure):
        raise RuntimeError(f"{outcome.kind}: {outcome.message}")
    return outcome


@contextmanager
def backends(tf32: bool = True, benchmark: bool = False) -> Iterator[None]:
    """Within it cuDNN may round float32 to TF32, as torch has it, and may try algorithms out, as torch does not."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32, cudnn.benchmark = tf32, benchmark
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark = before


def hours(seconds: float) -> float:
    """GPU-hours of a search whose trials take so many seconds each."""
    return TRIALS * seconds / 3600
