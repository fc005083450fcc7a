"""The sweepers' settings. Hydra imports this module at the start of every program: keep it free of torch."""

# No `from __future__ import annotations`: Hydra executes the module unregistered, and dataclasses then look in vain.
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class SweeperConf:
    """A search: T steps of M trials; the lists hold overrides of the runs around it."""

    _target_: str = "hydra_plugins.autosegloss_sweeper.sweeper.AutoSegLossSweeper"
    strategy: Any = MISSING  # how theta is proposed and learnt, see autosegloss.search
    steps: int = MISSING  # T
    samples: int = MISSING  # M, trials a step
    sigma: float = MISSING  # of the truncated normal that theta is drawn from
    seed: int = 0  # of the draws
    warmup: list[str] | None = None  # the run that makes the weights w_0 all trials start from; null: w_0 is random
    finalists: int = 0  # best trials to run again with `final`, beside both mu and the identity; 0: the paper's rule,
    # the mu of the step with the best mean score
    final: list[str] = field(default_factory=list)
    comparison: dict[str, list[str]] = field(default_factory=dict)  # rows of the table after the search
    comparison_common: list[str] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)


@dataclass
class PPOConf(SweeperConf):
    """PPO2 with the paper's settings (section 4.3, appendix A); its learning rate is not given there."""

    strategy: Any = field(
        default_factory=lambda: {
            "_target_": "autosegloss.search.PPO",
            "_partial_": True,
            "epsilon": 0.1,
            "updates": 100,
            "learning_rate": 0.015,
            "ratio": "joint",  # coordinate: each coordinate's ratio clipped by itself, as released
            "parameter": "mean",  # logit: gradient steps on logit(mu), as released
            "advantage": "centred",  # standardised: divided by the standard deviation, too
        }
    )


@dataclass
class RandomConf(SweeperConf):
    """Random search (Fig. 3)."""

    strategy: Any = field(default_factory=lambda: {"_target_": "autosegloss.search.RandomSearch", "_partial_": True})


for name, node in (("ppo", PPOConf), ("random", RandomConf)):
    ConfigStore.instance().store(group="hydra/sweeper", name=name, node=node, provider="autosegloss")
