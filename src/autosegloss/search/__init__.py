"""The search for theta: the distribution that draws it, the strategies that learn from scores, and the records.

It depends on neither Hydra nor training: `ask` a `Strategy` for thetas, score them, `tell` it the scores.
"""

from autosegloss.search.candidates import Candidate
from autosegloss.search.cma import CMAES
from autosegloss.search.history import History
from autosegloss.search.policy import TruncatedNormal
from autosegloss.search.ppo import PPO
from autosegloss.search.records import JsonLines
from autosegloss.search.strategy import RandomSearch, Strategy
from autosegloss.search.trials import Choice, Step, Trial

__all__ = [
    "CMAES",
    "PPO",
    "Candidate",
    "Choice",
    "History",
    "JsonLines",
    "RandomSearch",
    "Step",
    "Strategy",
    "Trial",
    "TruncatedNormal",
]
