"""Coordinates without bounds, beside others that lie in [0, 1]."""

import json

import numpy as np
import pytest
from helpers.strategies import STRATEGIES
from helpers.toy_search import IDENTITY, OPTIMUM

from autosegloss.errors import InputError
from autosegloss.search import Bounds, RandomSearch
from autosegloss.search.bounds import REAL, UNIT

FREE = np.arange(12) % 2 == 1
HALF = [REAL if free else UNIT for free in FREE]


@pytest.mark.parametrize("interval", [(0, np.inf), (1, 1), (np.nan, 1), (-np.inf, -np.inf)])
def test_other_bounds_are_refused(interval):
    with pytest.raises(InputError, match="bounds: expected low < high, both finite or -inf and inf, got"):
        Bounds([UNIT, interval], 2)
    with pytest.raises(InputError, match="bounds: expected 2 intervals"):
        Bounds([UNIT], 2)


@pytest.mark.parametrize("make", STRATEGIES[:-1])  # a Gaussian process takes a minute
def test_without_bounds_it_climbs_out_of_the_unit_cube(make):
    """Where half of the coordinates lie in [0, 1]; a search goes on from its state, and from no other."""
    far = np.where(FREE, 1.5, OPTIMUM)
    strategy, second = (make(samples=8, seed=seed, bounds=HALF) for seed in (1, 99))
    outside = np.zeros(12, bool)
    for _ in range(4):
        thetas = strategy.ask()
        strategy.tell(thetas, -((thetas - far) ** 2).sum(-1))
        outside |= ((thetas < 0) | (thetas > 1)).any(axis=0)
    assert outside[FREE].any()
    assert not outside[~FREE].any()
    learns = not isinstance(strategy, RandomSearch)
    assert ((strategy.mean - far) ** 2).sum() < ((IDENTITY - far) ** 2).sum() or not learns
    state = json.loads(json.dumps(strategy.state_dict()))
    second.load_state_dict(state)
    np.testing.assert_array_equal(second.ask(), strategy.ask())
    with pytest.raises(InputError, match="12 control values, got 12 control values, 6 without bounds"):
        make(samples=12).load_state_dict(state)
