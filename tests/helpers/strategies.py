"""The strategies of a search over the 12 numbers of the toy."""

from functools import partial
from importlib.util import find_spec

import pytest
from helpers.toy_search import IDENTITY, VARIANTS

from autosegloss.search import CMAES, PPO, OptunaSearch, RandomSearch

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="needs the extra optuna")
STRATEGIES = [
    lambda **settings: RandomSearch(IDENTITY, **settings),
    lambda **settings: CMAES(IDENTITY, **settings),
    *(lambda v=variant, **settings: PPO(IDENTITY, updates=10, **v, **settings) for variant in VARIANTS),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="tpe"), marks=needs_optuna, id="tpe"),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="gp"), marks=[needs_optuna, pytest.mark.slow], id="gp"),
]
