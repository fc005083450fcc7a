"""CMA-ES against random search and PPO, and what is its own."""

import numpy as np
import pytest
from helpers.toy_search import IDENTITY, OPTIMUM, search

from autosegloss.errors import InputError
from autosegloss.search import CMAES, PPO, RandomSearch


def searched(strategy, steps=16):
    """The thetas that a strategy draws while it climbs."""
    return np.concatenate([thetas for thetas, _, _ in search(strategy, steps)])


def test_cma_es_climbs_further_than_random_search_and_ppo():
    def distance(mean):
        return ((mean - OPTIMUM) ** 2).sum()

    strategies = [[make(IDENTITY, samples=16, seed=seed) for seed in range(2)] for make in (CMAES, PPO)]
    for strategy in (*strategies[0], *strategies[1]):
        searched(strategy)
    cma, ppo = (np.mean([distance(strategy.mean) for strategy in group]) for group in strategies)
    drawn = searched(RandomSearch(IDENTITY, samples=16))
    assert cma < 0.5 * ppo
    assert cma < 0.1 * ((drawn - OPTIMUM) ** 2).sum(-1).min()


def test_cma_es_ranks_failed_trials_last():
    strategy = CMAES(IDENTITY, samples=8)
    thetas = strategy.ask()
    strategy.tell(thetas[:2], np.array([0.1, 0.2]))
    assert np.linalg.norm(strategy.mean - thetas[1]) < np.linalg.norm(IDENTITY - thetas[1])
    with pytest.raises(InputError, match="samples: expected 4 or more"):
        CMAES(IDENTITY, samples=3)


def test_cma_es_depends_on_ranks_alone():
    means = []
    for scale in (1.0, 1e-6):
        strategy = CMAES(IDENTITY, samples=6)
        for _ in range(3):
            thetas = strategy.ask()
            strategy.tell(thetas, scale * -((thetas - OPTIMUM) ** 2).sum(-1))
        means.append(strategy.mean)
    np.testing.assert_array_equal(*means)
