"""Guards: metrics other than the target that a loss may not spoil."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autosegloss.errors import InputError, is_number, unknown

# A loss that is searched for boundaries alone may place them well and name the areas between them wrongly.
DEFAULTS: Mapping[str, Mapping[str, float]] = {name: {"miou": 0.01} for name in ("biou", "biou_cheng", "bf1", "nsd")}

Guard = Mapping[str, float]
"""{metric: how much of it a candidate may lose against the baseline, in [0, 1]}."""


def guard_of(setting: Any, target: str, metrics: Iterable[str]) -> dict[str, float]:
    """The guard that a setting asks for.

    Args:
        setting: {metric: a share in [0, 1]}; None takes the default of the target, {} guards nothing.
        target: The metric that is searched for.
        metrics: The metrics that a run is judged by.

    Raises:
        InputError: A metric is unknown or the target itself, or its share is none.

    Example:
        >>> guard_of(None, "bf1", ["miou", "bf1"])
        {'miou': 0.01}
    """
    if setting is None:
        return dict(DEFAULTS.get(target, {}))
    if not isinstance(setting, Mapping):
        raise InputError(f"guard: expected metrics and what each may lose, as guard={{miou: 0.01}}, got {setting!r}")
    for name, share in setting.items():
        if name not in (known := list(metrics)):
            raise unknown("metric of guard", name, known)
        if name == target:
            raise InputError(f"guard: {name} is the metric that is searched for: guard others")
        if not is_number(share) or not 0 <= share <= 1:
            raise InputError(f"guard: {name} may lose a share from 0 to 1, as 0.01 for one point, got {share!r}")
    return {name: float(share) for name, share in setting.items()}


def broken(differences: Mapping[str, float], guard: Guard) -> dict[str, float]:
    """The guarded metrics that lose more than they may, with their differences.

    Args:
        differences: {metric: score of a candidate less that of the baseline}.
        guard: What each metric may lose.
    """
    return {name: differences[name] for name, share in guard.items() if differences[name] < -share}
