"""Conditions on a config: the values that it must have at dotted keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

ANY = "any"
"""Stands for a value that is no condition."""


def deviations(expected: Mapping[str, Any], config: DictConfig) -> list[str]:
    """Describe each value of a config that differs from the expected one.

    Args:
        expected: {dotted key: value}; a key that ends in "?" may be missing in the config, any other missing key
            counts as null. The value "any" is no condition.
        config: the config of a run, or a theta card.

    Returns:
        A text like "seed is 1, not 0" for each difference; [] if the config meets all conditions.

    Example:
        >>> deviations({"seed": 0, "data.crop?": 32}, OmegaConf.create({"seed": 1}))
        ['seed is 1, not 0']
    """
    found = []
    for key, value in expected.items():
        name = key.removesuffix("?")
        actual = _plain(OmegaConf.select(config, name, default=value if key.endswith("?") else None))
        if value not in (ANY, actual):
            found.append(f"{name} is {_text(actual)}, not {_text(value)}")
    return found


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
