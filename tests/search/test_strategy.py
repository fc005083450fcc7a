"""The contract of all strategies."""

import json
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
from helpers.toy_search import IDENTITY, OPTIMUM, VARIANTS, search, toy_score

from autosegloss.errors import InputError
from autosegloss.search import CMAES, PPO, OptunaSearch, RandomSearch

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="needs the extra optuna")
STRATEGIES = [
    lambda **settings: RandomSearch(IDENTITY, **settings),
    lambda **settings: CMAES(IDENTITY, **settings),
    *(lambda v=variant, **settings: PPO(IDENTITY, updates=10, **v, **settings) for variant in VARIANTS),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="tpe"), marks=needs_optuna, id="tpe"),
    pytest.param(partial(OptunaSearch, IDENTITY, sampler="gp"), marks=[needs_optuna, pytest.mark.slow], id="gp"),
]


@pytest.mark.parametrize("make", STRATEGIES)
def test_contract(make):
    strategy = make(samples=5, seed=1)
    for thetas, scores, mean in search(strategy, 3):
        assert thetas.shape == (5, 12)
        assert scores.shape == (5,)
        assert mean.shape == (12,)
        assert mean.dtype == np.float64
        assert ((thetas >= 0) & (thetas <= 1)).all()
        assert ((mean >= 0) & (mean <= 1)).all()


@pytest.mark.parametrize("make", STRATEGIES)
def test_it_begins_around_what_is_known(make):
    """Around the best of few points, or the best of many."""
    known = np.random.default_rng(0).uniform(size=(30, 12))
    scores = -((known - OPTIMUM) ** 2).sum(-1)
    for count in (3, 30):
        strategy = make(samples=8, sigma=0.05)
        strategy.begin(known[:count], scores[:count])
        best = known[scores[:count].argmax()]
        nearest = ((strategy.ask() - best) ** 2).sum(-1).min()
        assert nearest < ((known[count // 3] - best) ** 2).sum()
        assert ((strategy.mean - best) ** 2).sum() < ((IDENTITY - best) ** 2).sum()


@pytest.mark.parametrize("known", [0, 3, 30])
@pytest.mark.parametrize("make", STRATEGIES)
def test_resumed_search_is_bit_identical(make, known):
    def begun():
        strategy = make(samples=4, seed=3)
        if known:
            points = np.random.default_rng(0).uniform(size=(known, 12))
            strategy.begin(points, points.sum(-1))
        return strategy

    whole = search(begun(), 4)
    first = begun()
    search(first, 2)
    second = make(samples=4, seed=99)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    noise = np.random.default_rng(0)
    noise.normal(size=8)  # the noise of the first half
    for thetas, scores, mean in whole[2:]:
        asked = second.ask()
        np.testing.assert_array_equal(asked, thetas)
        np.testing.assert_array_equal(toy_score(asked, noise), scores)
        second.tell(asked, scores)
        np.testing.assert_array_equal(second.mean, mean)


@pytest.mark.parametrize("make", STRATEGIES)
def test_equal_scores_teach_nothing(make):
    strategy = make(samples=7)
    thetas = strategy.ask()
    for score in (0.0, 0.1, 1 / 3):
        strategy.tell(thetas, np.full(7, score))
        np.testing.assert_array_equal(strategy.mean, IDENTITY)
    strategy.tell(thetas[:1], np.array([0.7]))
    np.testing.assert_array_equal(strategy.mean, IDENTITY)


def test_random_search_never_moves():
    strategy = RandomSearch(IDENTITY, samples=4)
    search(strategy, 3)
    np.testing.assert_array_equal(strategy.mean, IDENTITY)


@needs_optuna
def test_the_sampler_of_optuna_climbs_further_than_random_search():
    def best(strategy):
        return max(scores.max() for _, scores, _ in search(strategy, 10))

    assert best(OptunaSearch(IDENTITY, samples=8)) > best(RandomSearch(IDENTITY, samples=8))


def test_an_unknown_sampler_is_refused():
    with pytest.raises(InputError, match="unknown sampler 'cma': choose one of tpe, gp"):
        OptunaSearch(IDENTITY, sampler="cma")
