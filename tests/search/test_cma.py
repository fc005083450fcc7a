"""CMA-ES against random search and PPO, and what is its own."""

import numpy as np
import pytest

from autosegloss.errors import InputError
from autosegloss.search import CMAES, PPO, RandomSearch

IDENTITY = np.tile([1 / 4, 1 / 4, 1 / 3, 1 / 3, 1 / 2, 1 / 2], 2)
OPTIMUM = np.random.default_rng(7).uniform(0.1, 0.9, IDENTITY.size)


def searched(strategy, steps=20):
    """The thetas that a strategy draws while it climbs a noisy paraboloid around OPTIMUM."""
    noise, drawn = np.random.default_rng(0), []
    for _ in range(steps):
        drawn.append(strategy.ask())
        scores = 0.5 - 0.1 * ((drawn[-1] - OPTIMUM) ** 2).sum(-1) + 0.003 * noise.normal(size=len(drawn[-1]))
        strategy.tell(drawn[-1], scores)
    return np.concatenate(drawn)


def test_cma_es_climbs_further_than_random_search_and_ppo():
    def distance(mean):
        return ((mean - OPTIMUM) ** 2).sum()

    strategies = [[make(IDENTITY, samples=16, seed=seed) for seed in range(5)] for make in (CMAES, PPO)]
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
