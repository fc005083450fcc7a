"""Overrides of the runs of a search."""

from __future__ import annotations

from collections.abc import Iterable

# For the runs around the trials, which take longer: a search that goes on finds their checkpoints.
UNTIMED = "hydra.sweeper.trial_timeout=null"
LONG = (UNTIMED, "checkpoint.resume=true")
SHORT = ("checkpoint.every_minutes=null", "checkpoint.every_n_steps=null")  # a trial is repeated as a whole


def theta_override(theta: Iterable[float]) -> str:
    """The override that sets theta (D,); every number round-trips exactly."""
    return "theta=[" + ",".join(repr(float(x)) for x in theta) + "]"
