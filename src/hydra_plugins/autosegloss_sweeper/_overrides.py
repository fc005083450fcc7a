"""Overrides of the runs of a search."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autosegloss.cli.overrides import quoted
from autosegloss.search import Proposal

# For the runs around the trials, which take longer: a search that goes on finds their checkpoints.
UNTIMED = "hydra.sweeper.trial_timeout=null"
LONG = (UNTIMED, "checkpoint.resume=true")
SHORT = ("checkpoint.every_minutes=null", "checkpoint.every_n_steps=null")  # a trial is repeated as a whole


def theta_override(theta: Iterable[float]) -> str:
    """The override that sets theta (D,); every number round-trips exactly."""
    return "theta=[" + ",".join(repr(float(x)) for x in theta) + "]"


def trial_overrides(proposal: Proposal, directory: Path) -> list[str]:
    """The overrides of a trial of the search in `directory`."""
    overrides = list(proposal.overrides)
    if proposal.scale != 1:
        overrides.append(f"loss.scale={proposal.scale!r}")
    if proposal.pause_at is not None:
        overrides.append(f"checkpoint.pause_at={proposal.pause_at}")
    if proposal.origin is not None:
        overrides.append(f"checkpoint.begin_with={quoted(directory / trial_folder(*proposal.origin))}")
    return [*overrides, *SHORT]


def trial_folder(step: int, index: int) -> str:
    """The folder of a trial, relative to that of the search."""
    return f"step_{step:04d}/trial_{index:03d}"
