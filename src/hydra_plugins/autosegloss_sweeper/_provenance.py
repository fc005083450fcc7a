"""Where a found theta came from, as it stands on its card, and how to train with it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from .config import SweeperConf

_OF_A_TRAINING = ("metric", "data", "network", "optimizer")


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


def next_command(arguments: Sequence[str], metric: str, card: Path) -> str:
    """The command line that trains with the card on the data, network and metric of the search."""
    kept = [a for a in arguments if a.lstrip("+~").split("=")[0].split(".")[0] in _OF_A_TRAINING]
    if not any(argument.startswith("metric=") for argument in kept):
        kept = [f"metric={metric}", *kept]
    plain = str(card).replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum()
    path = str(card) if plain else f"'{card}'"
    return shlex.join(["python", "train.py", *kept, "loss=searched", f"loss.theta={path}"])
