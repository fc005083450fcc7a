"""Loggers of optional packages; one line tells how to install what is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from autosegloss.errors import not_installed


def tensorboard(**options: Any) -> TensorBoardLogger:
    """Lightning's logger for TensorBoard, with its options; raises InputError if tensorboard is not installed."""
    _need("tensorboard")
    return TensorBoardLogger(**options)


def wandb(**options: Any) -> WandbLogger:
    """Lightning's logger for Weights & Biases, with its options; raises InputError if wandb is not installed."""
    _need("wandb")
    return WandbLogger(**options)


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise not_installed(f"logger={package}", package, extra=package)
