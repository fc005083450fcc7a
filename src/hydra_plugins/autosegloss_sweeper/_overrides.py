"""Values written as Hydra overrides, and the keys of overrides."""

from __future__ import annotations

from collections.abc import Iterable

UNTIMED = "hydra.sweeper.trial_timeout=null"  # for the runs around the trials, which take longer than a trial


def theta_override(theta: Iterable[float]) -> str:
    """The override that sets theta (D,); every number round-trips exactly."""
    return "theta=[" + ",".join(repr(float(x)) for x in theta) + "]"


def quoted(value: object) -> str:
    """A text as the value of an override."""
    return "'" + str(value).replace("'", "\\'") + "'"


def key_of(override: str) -> str:
    """The key of an override, without the prefix that adds or removes it."""
    return override.partition("=")[0].lstrip("+~")
