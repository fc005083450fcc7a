"""Where a found theta came from, as it stands on its card, and how to train with it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ._names import argument
from .config import SweeperConf

_OF_A_TRAINING = ("metric", "data", "network", "optimizer")
_VALUES = tuple(f"{group}." for group in _OF_A_TRAINING)


def provenance(cfg: DictConfig, settings: SweeperConf, chosen: str) -> dict[str, Any]:
    """All that the found theta and its score depend on, in plain types."""
    plain = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("data", "network", "optimizer")}
    search = {name: getattr(settings, name) for name in ("steps", "samples", "sigma", "warmup", "finalists", "final")}
    return {
        "origin": f"{chosen}; the score is its {cfg.metric._target_.rpartition('.')[2]} on the hold-out images",
        "search": {
            "strategy": OmegaConf.to_container(cfg.hydra.sweeper.strategy),
            **OmegaConf.to_container(OmegaConf.create(search)),
            "trial_max_steps": cfg.trainer.max_steps,
        },
        **plain,
        "seed": cfg.seed,
        "versions": {name: version(name) for name in ("autosegloss", "torch", "pytorch-lightning")},
        "date": date.today().isoformat(),
    }


def next_command(cfg: DictConfig, arguments: Sequence[str], card: Path) -> str:
    """The command line that trains with the card on the metric, data, network and optimiser of the search.

    The user's own values of these come along, but for the hold-out: a training has the whole training split.
    """
    groups = [f"{group}={cfg.hydra.runtime.choices[group]}" for group in _OF_A_TRAINING]
    values = [a for a in arguments if a.lstrip("+~").startswith(_VALUES) and not a.startswith("data.holdout=")]
    return shlex.join(["python", "train.py", *groups, *values, "loss=searched", argument("loss.theta", card)])
