"""Command lines shown to the user: how to resume a search, and how to train with the loss it found."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from autosegloss.files import short_path

from ._overrides import key_of, quoted

_GROUPS = (
    "metric",
    "data",
    "network",
    "optimizer",
    "schedule",
)  # the parts of a search's configuration that a training shares


def resume_command(directory: Path) -> str:
    """The command that resumes the search in `directory`."""
    return shlex.join(["python", "search.py", _argument("resume", short_path(directory))])


def train_command(cfg: DictConfig, arguments: Sequence[str], card: Path) -> str:
    """The command that trains with a theta card on the metric, data, network and optimiser of the search.

    It repeats the user's own values of these, except data.holdout: a training uses the whole training split.
    """
    groups = [f"{group}={cfg.hydra.runtime.choices[group]}" for group in _GROUPS]
    shared = tuple(f"{group}." for group in _GROUPS)
    values = [a for a in arguments if key_of(a).startswith(shared) and not a.startswith("data.holdout=")]
    return shlex.join(["python", "train.py", *groups, *values, "loss=searched", _argument("loss.theta", card)])


def _argument(key: str, value: object) -> str:
    """`key=value`, quoted for Hydra's grammar if the value has characters that need it."""
    plain = re.fullmatch(r"[\w./-]+", str(value))
    return f"{key}={value if plain else quoted(value)}"
