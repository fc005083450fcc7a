"""A search that is killed again and again, and whose trainings fail, finds what it finds undisturbed."""

import pytest
from chaos import SEARCH, Chaos, undisturbed_search
from helpers.faults import met

SMALL = [
    "hydra.sweeper.steps=1",
    "hydra.sweeper.samples=4",
    "hydra.sweeper.rungs=[6]",
    "hydra.sweeper.finalists=1",
    "hydra.sweeper.final_seeds=2",
]


@pytest.mark.slow
def test_a_search_that_is_killed_at_random_moments_finds_the_same(tmp_path):
    undisturbed_search(tmp_path / "undisturbed", *SEARCH, *SMALL)
    chaos = Chaos(tmp_path / "killed", tmp_path / "undisturbed", "one", [*SEARCH, *SMALL], kills=2, seed=0)
    account = chaos.run()
    assert account.complaints == []
    assert account.orphans == []
    assert sum(account.kills.values()) == 2
    assert sum(met(chaos.faults).values()) >= 1
