"""The sweeper's settings. Hydra imports this module at the start of every program: keep it free of torch."""

# No `from __future__ import annotations`: Hydra executes the module unregistered, and dataclasses then look in vain.
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class SweeperConf:
    """A search: T steps of M trials. The lists hold overrides of the runs around it."""

    _target_: str = "hydra_plugins.autosegloss_sweeper.sweeper.AutoSegLossSweeper"
    strategy: Any = MISSING  # how theta is proposed and learnt, see autosegloss.search
    steps: int = MISSING  # T
    samples: int = MISSING  # M, trials a step
    sigma: float = MISSING  # of the truncated normal that theta is drawn from
    seed: int = 0  # of the draws
    warmup: list[str] | None = None  # the run that makes the weights w_0 all trials start from; null: w_0 is random
    finalists: int = 0  # best trials to run again with `final`, beside both mu and the identity; 0: no such runs, the
    # strategy's own rule decides (the mu of the best mean score, as the paper)
    final: list[str] = field(default_factory=list)
    comparison: dict[str, list[str]] = field(default_factory=dict)  # rows of the table after the search; FOUND is the
    # card that was found, RELEASED the one that ships for the metric (a row without one is left out)
    comparison_common: list[str] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)


ConfigStore.instance().store(group="hydra/sweeper", name="autosegloss", node=SweeperConf, provider="autosegloss")
