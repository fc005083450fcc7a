"""The block split: a partition of the right size that keeps blocks whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosegloss.data import block_split
from autosegloss.errors import InputError


@st.composite
def cases(draw):
    count = draw(st.integers(2, 200))
    return count, draw(st.integers(1, count - 1)), draw(st.integers(1, 30)), draw(st.integers(0, 10**6))


@given(cases())
def test_it_is_a_sorted_partition_of_exactly_the_given_size(case):
    count, holdout, block, seed = case
    kept, held = block_split(count, holdout, block, seed)
    assert sorted(kept + held) == list(range(count))
    assert (kept, held) == (sorted(kept), sorted(held))
    assert len(held) == holdout


@given(cases())
def test_at_most_one_block_is_cut(case):
    count, holdout, block, seed = case
    kept, held = block_split(count, holdout, block, seed)
    cut = {i // block for i in kept} & {i // block for i in held}
    assert len(cut) <= 1


@given(cases())
def test_the_same_seed_gives_the_same_split(case):
    assert block_split(*case) == block_split(*case)


def test_another_seed_gives_another_split():
    assert len({tuple(block_split(100, 10, seed=seed)[1]) for seed in range(10)}) == 10


def test_a_fraction_is_rounded():
    assert len(block_split(367, 0.25)[1]) == 92


@pytest.mark.parametrize("holdout", [0, 0.01, 10, 0.99, 2.5, -3, True, "3", "some", None, math.nan, math.inf])
def test_a_hold_out_that_leaves_nothing_is_refused(holdout):
    with pytest.raises(InputError, match="holdout"):
        block_split(10, holdout)


@pytest.mark.parametrize(("name", "value"), [("block", 0), ("block", 2.0), ("block", "2"), ("seed", -1), ("seed", 0.5)])
def test_an_invalid_block_or_seed_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name}: expected an integer of [01] or more, got {value!r}"):
        block_split(10, 3, **{name: value})
