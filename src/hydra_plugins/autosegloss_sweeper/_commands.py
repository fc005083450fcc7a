"""Command lines shown to the user: how to resume a search, and how to train with the loss it found."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from autosegloss.cli.overrides import argument, key_of
from autosegloss.cli.resume import program_command
from autosegloss.cli.resume import resume_command as resume

_GROUPS = (
    "metric",
    "data",
    "network",
    "optimizer",
    "schedule",
)  # the parts of a search's configuration that a training shares

_SETTINGS = ("task", "threshold")  # likewise


def resume_command(directory: Path) -> str:
    """The command that resumes the search in `directory`."""
    return resume("search", directory)


def train_command(cfg: DictConfig, arguments: Sequence[str], loss: Sequence[str]) -> str:
    """The command that trains with the overrides `loss` on the task, metric, data, network and optimiser of the search.

    It repeats the user's own values of these, except data.holdout: a training uses the whole training split.
    """
    groups = [f"{group}={cfg.hydra.runtime.choices[group]}" for group in _GROUPS]
    shared = tuple(f"{group}." for group in _GROUPS)
    own = [a for a in arguments if key_of(a) in _SETTINGS or key_of(a).startswith(shared)]
    values = [a for a in own if not a.startswith("data.holdout=")]
    return shlex.join([*program_command("train"), *groups, *values, *loss])


def card_overrides(card: Path) -> list[str]:
    """The overrides that train with a theta card."""
    return ["loss=searched", argument("loss.theta", card)]
