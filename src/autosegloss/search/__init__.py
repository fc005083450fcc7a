"""The search for theta: the distribution that draws it, the strategies that learn from scores, and the records.

It depends on neither Hydra nor training: `ask` a `Strategy` for thetas, score them, `tell` it the scores.
"""

from autosegloss.search.bounds import Bounds
from autosegloss.search.candidates import Candidate
from autosegloss.search.cma import CMAES
from autosegloss.search.history import History
from autosegloss.search.optuna_samplers import OptunaSearch
from autosegloss.search.policy import TruncatedNormal
from autosegloss.search.ppo import PPO
from autosegloss.search.procedure import Algorithm1, Procedure
from autosegloss.search.race import Race
from autosegloss.search.records import JsonLines
from autosegloss.search.space import Space
from autosegloss.search.strategy import RandomSearch, Strategy
from autosegloss.search.trials import SEARCHED, Choice, Origin, Proposal, Step, Trial

__all__ = [
    "CMAES",
    "PPO",
    "SEARCHED",
    "Algorithm1",
    "Bounds",
    "Candidate",
    "Choice",
    "History",
    "JsonLines",
    "OptunaSearch",
    "Origin",
    "Procedure",
    "Proposal",
    "Race",
    "RandomSearch",
    "Space",
    "Step",
    "Strategy",
    "Trial",
    "TruncatedNormal",
]
