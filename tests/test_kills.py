"""A training that is killed again and again ends as an undisturbed one."""

import pytest
from kills import SETTINGS, Killed


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_training_that_is_killed_at_random_moments_ends_the_same(tmp_path, settings):
    killed = Killed(tmp_path / settings, settings, steps=100, seed=0)
    assert killed.run(kills=2), killed.complaints
    assert killed.kills.total() >= 1
