"""The search for theta: a policy that draws it, strategies that learn from scores, and the record of it all.

Knows neither networks nor configuration: ask a `Strategy` for thetas, score them however you like, tell it.
"""

from autosegloss.search.history import History, Step, Trial
from autosegloss.search.policy import TruncatedNormal
from autosegloss.search.ppo import PPO
from autosegloss.search.records import JsonLines
from autosegloss.search.strategy import RandomSearch, Strategy

__all__ = ["PPO", "History", "JsonLines", "RandomSearch", "Step", "Strategy", "Trial", "TruncatedNormal"]
