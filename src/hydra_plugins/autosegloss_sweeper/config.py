"""The sweeper's settings. Hydra imports this module at the start of every program: keep it free of torch."""

# No `from __future__ import annotations`: Hydra executes the module unregistered, and dataclasses then look in vain.
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class SweeperConf:
    """A search: T steps of M trials. The lists hold overrides of the runs around it."""

    _target_: str = "hydra_plugins.autosegloss_sweeper.sweeper.AutoSegLossSweeper"
    # How theta is proposed and learnt, see autosegloss.search; null: no search, but a run for each combination of the
    # values on the command line, as Hydra's own sweeper does.
    strategy: Any = None
    steps: int | None = None  # T
    samples: int | None = None  # M, trials a step
    sigma: float | None = None  # of the truncated normal that theta is drawn from
    seed: int = 0  # of the draws
    warmup: list[str] | None = None  # the run that makes the weights w_0 all trials start from; null: w_0 is random
    # Best trials to run again with `final`, beside both mu and the identity; 0: no such runs, the strategy's own rule
    # decides (the mu of the best mean score, as the paper).
    finalists: int = 0
    final: list[str] = field(default_factory=list)
    # Rows of the table after the search; FOUND is the card that was found, RELEASED the one that ships for the metric
    # (a row without one is left out, and one that is null).
    comparison: dict[str, list[str] | None] = field(default_factory=dict)
    comparison_common: list[str] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)
    max_retries: int = 2  # how often a run that fails is tried again before the step goes on without it
    trial_timeout: float | None = None  # seconds that a trial may take
    min_finished: float = 0.5  # share of the trials of a step that must end with a score, or the search stops
    max_batch_size: int | None = None  # runs that are launched together; null: all of a step
    owner: str | None = None  # token of the search that has launched a trial; the search sets it
    params: dict[str, str] | None = None  # without a strategy: overrides, as those of Hydra's own sweeper


ConfigStore.instance().store(group="hydra/sweeper", name="autosegloss", node=SweeperConf, provider="autosegloss")
