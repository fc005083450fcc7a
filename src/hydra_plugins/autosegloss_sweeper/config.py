"""The settings of the sweeper. Hydra imports this module at the start of every program: keep it free of torch."""

# No `from __future__ import annotations`: Hydra runs this module without an entry in sys.modules, where dataclasses
# would look up the names in string annotations.
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class SweeperConf:
    """A search of T steps with M trials each. Lists of overrides configure the runs around the trials."""

    _target_: str = "hydra_plugins.autosegloss_sweeper.sweeper.AutoSegLossSweeper"
    # A function that makes the strategy, see autosegloss.search. null: no search, but one job per combination of the
    # values on the command line, as with Hydra's basic sweeper.
    strategy: Any = None
    steps: int | None = None  # T
    samples: int | None = None  # M, trials per step
    sigma: float | None = None  # standard deviation of the truncated normal distribution that draws theta
    seed: int = 0  # of the draws
    trial: list[str] = field(default_factory=list)  # overrides of the trials alone
    # Training steps at which trials pause, rising, e.g. [80, 160]: they make the search a race, in which all candidates
    # and thetas begin, and the best go on from their saved states. []: every trial is trained as a whole.
    rungs: list[int] = field(default_factory=list)
    keep: int = 8  # how many trials of a race go on to the next rung
    tuned: int = (
        0  # how many candidates of a race, besides the first, are tried at `factor` times, and by it, their scale
    )
    factor: float = 4.0
    scales: list[float] | None = None  # the lowest and the highest scale of a theta; null: all have 1
    patience: int | None = None  # a race ends its steps of thetas when so many have not raised the best score
    warmup: list[str] | None = None  # the run that trains the initial weights w_0 of all trials; null: w_0 is random
    # Losses that may be recommended besides the searched one, {name: overrides}, the simplest first: the others are
    # compared with it. RELEASED stands for the card that ships for the metric. A loss is left out if it is null, or if
    # its card does not exist.
    candidates: dict[str, list[str] | None] = field(default_factory=dict)
    # How many candidates, besides the simplest, are trained with all seeds and may be recommended. 0: no such runs, the
    # strategy's own rule chooses theta (PPO: the mu with the highest mean score, as in the paper), and `comparison` is
    # the table.
    finalists: int = 0
    final: list[str] = field(default_factory=list)  # overrides of the trainings of candidates
    final_seeds: int = 3
    sooner: int | None = None  # a shorter budget, in training steps: the finalists are trained for that long, too
    # {row: overrides} of the table without finalists. FOUND stands for the found card, RELEASED as above.
    comparison: dict[str, list[str] | None] = field(default_factory=dict)
    comparison_common: list[str] = field(default_factory=list)
    comparison_seeds: list[int] = field(default_factory=list)
    max_retries: int = 2  # how often a failed run is repeated before the step continues without it
    trial_timeout: float | None = None  # seconds that a trial may take
    min_finished: float = 0.5  # the search stops if a smaller share of the trials of a step ends with a score
    max_batch_size: int | None = None  # runs that are launched together; null: all runs of a step
    owner: str | None = None  # token of the search that launched a trial; set by the search
    params: dict[str, str] | None = None  # without a strategy: overrides, as with Hydra's basic sweeper


ConfigStore.instance().store(group="hydra/sweeper", name="autosegloss", node=SweeperConf, provider="autosegloss")
