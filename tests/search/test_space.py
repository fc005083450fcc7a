"""The points of a search: theta and the scale of the loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosegloss.errors import InputError
from autosegloss.search import Space
from autosegloss.search.bounds import REAL, UNIT

numbers = st.floats(0, 1)


@given(st.lists(numbers, min_size=1, max_size=4), st.floats(0.5, 8))
def test_a_point_gives_back_its_theta_and_its_scale(theta, scale):
    space = Space((0.5, 8.0))
    point = space.point(theta, scale)
    assert space.theta(point) == tuple(theta)
    assert space.scale(point) == pytest.approx(scale, rel=1e-3)
    assert all(0 <= number <= 1 for number in point)


def test_equal_ratios_are_equal_distances():
    space = Space((0.25, 16.0))
    ends = [space.point((), scale)[-1] for scale in (0.25, 1, 4, 16)]
    assert ends == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert (space.point((), 0.1), space.point((), 100.0)) == ((0.0,), (1.0,))


def test_without_scales_a_point_is_theta():
    space = Space()
    assert space.point((0.2, 0.3), scale=5.0) == space.theta((0.2, 0.3)) == (0.2, 0.3)
    assert space.scale((0.2, 0.3)) == 1
    assert (space.bounds(REAL, 2), Space((0.5, 8.0)).bounds(REAL, 1)) == ([REAL] * 2, [REAL, UNIT])


@pytest.mark.parametrize("scales", [(1.0,), (2.0, 1.0), (0, 1.0), (1.0, 1.0), ("a", "b")])
def test_other_scales_are_refused(scales):
    with pytest.raises(InputError, match="scales: expected the lowest and the highest scale"):
        Space(scales)
