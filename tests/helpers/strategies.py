"""The strategies of a search over 12 numbers, and where their scores are best."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from autosegloss.search import CMAES, PPO, OptunaSearch, RandomSearch
from autosegloss.search.ppo import ADVANTAGES, PARAMETERIZATIONS, RATIOS

IDENTITY = np.tile([1 / 4, 1 / 4, 1 / 3, 1 / 3, 1 / 2, 1 / 2], 2)
OPTIMUM = np.random.default_rng(7).uniform(0.1, 0.9, IDENTITY.size)
VARIANTS = [{"ratio": ratio, "parameter": parameter} for ratio in RATIOS for parameter in PARAMETERIZATIONS]
VARIANTS += [{"ratio": "joint", "parameter": "mean", "advantage": name} for name in ADVANTAGES if name != "centred"]
needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="needs the extra optuna")
STRATEGIES = [
    lambda **settings: RandomSearch(IDENTITY, **settings),
    lambda **settings: CMAES(IDENTITY, **settings),
    *(lambda v=variant, **settings: PPO(IDENTITY, updates=10, **v, **settings) for variant in VARIANTS),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="tpe"), marks=needs_optuna, id="tpe"),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="gp"), marks=[needs_optuna, pytest.mark.slow], id="gp"),
]
