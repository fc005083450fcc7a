"""The contract and the numerics of the curve families: endpoints, monotony, identity, extreme theta, float32."""

import itertools
import math

import numpy as np
import pytest
import torch
from helpers.members import ABLATIONS, CURVES, numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from torch.testing import assert_close

from autosegloss import InputError
from autosegloss.curves import Bezier, Curve, Identity, Linear

every_curve = pytest.mark.parametrize("family", CURVES.values(), ids=CURVES)
every_bezier = pytest.mark.parametrize("pieces", [1, 2, 3])
inside = st.floats(0.01, 0.99)

GRID = np.unique(np.concatenate([np.linspace(0, 1, 501), [0, 1e-38, 1e-7, 1e-3, 1 - 1e-3, 1 - 1e-7, 1]]))


def thetas(family, elements=None):
    return arrays(np.float64, family.num_parameters, elements=numbers_of(family) if elements is None else elements)


def curve_of(family, theta, dtype=torch.float64):
    return Curve(family, family.control_points(torch.as_tensor(theta, dtype=dtype)))


def sampled(points, y):
    """g(y) by interpolation of a fine polygon along the parametric curve (u(t), v(t)), without solving for t."""
    t = np.linspace(0, 1, 100_001)[:, None]
    pieces = [
        (1 - t) ** 2 * points[i] + 2 * t * (1 - t) * points[i + 1] + t**2 * points[i + 2]
        for i in range(0, len(points) - 1, 2)
    ]
    polygon = np.concatenate(pieces)
    return np.interp(y, polygon[:, 0], polygon[:, 1])


@every_curve
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_curve_rises_from_0_to_1(family, dtype, data):
    g = curve_of(family, data.draw(thetas(family)), dtype)
    values = g(torch.as_tensor(GRID, dtype=dtype))
    assert values.dtype == dtype
    assert_close(values[[0, -1]], torch.tensor([0, 1], dtype=dtype), rtol=0, atol=1e-6)
    assert (values.diff() >= -1e-6).all()
    assert_close(g(torch.tensor([False, True])), torch.tensor([0, 1], dtype=dtype))


@pytest.mark.parametrize("family", [*CURVES.values(), *ABLATIONS.values()], ids=[*CURVES, *ABLATIONS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_identity_bends_nothing(family, dtype):
    theta = family.identity()
    assert theta.shape == (family.num_parameters,)
    low, high = family.interval
    assert theta.ge(low).all()
    assert theta.le(high).all()
    y = torch.as_tensor(GRID, dtype=dtype)
    assert_close(curve_of(family, theta, dtype)(y), y, rtol=0, atol=1e-6)


def test_number_of_parameters():
    sizes = {name: family.num_parameters for name, family in (CURVES | ABLATIONS).items()}
    assert sizes == {
        "bezier": 6,
        "bezier_1": 2,
        "bezier_3": 10,
        "linear": 5,
        "linear_1": 1,
        "linear_9": 9,
        "identity": 0,
        "free_ends": 8,
        "free_heights": 6,
        "free": 8,
    }


@every_bezier
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_inner_points_are_one_minus_the_product_of_what_remains(pieces, data):
    family = Bezier(pieces)
    theta = data.draw(thetas(family))
    points = family.control_points(torch.as_tensor(theta)).numpy()
    expected = [1 - np.prod(1 - theta.reshape(-1, 2)[:k], axis=0) for k in range(1, 2 * pieces)]
    np.testing.assert_allclose(points, [[0, 0], *expected, [1, 1]], rtol=0, atol=1e-6)


@every_bezier
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_theta_of_is_the_inverse_of_control_points(pieces, data):
    family = Bezier(pieces)
    steps = data.draw(arrays(np.float64, (2 * pieces, 2), elements=st.floats(0.05, 1)))
    points = torch.as_tensor((steps.cumsum(0) / steps.sum(0))[:-1])
    theta = family.theta_of(points)
    assert theta.gt(0).all()
    assert theta.lt(1).all()
    assert_close(family.control_points(theta)[1:-1], points, rtol=0, atol=1e-6)


@every_bezier
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_bezier_is_the_parametric_curve(pieces, data):
    family = Bezier(pieces)
    g = curve_of(family, data.draw(thetas(family)))
    y = np.random.default_rng(0).uniform(0, 1, 300)  # almost surely on no knot, where a jump has two values
    np.testing.assert_allclose(g(torch.as_tensor(y)).numpy(), sampled(g.points.numpy(), y), rtol=0, atol=1e-5)


@pytest.mark.parametrize("a", [0.0, 1e-6, 0.25, 0.5, 0.500001, 0.50001, 0.499999, 0.75, 1 - 1e-5, 1 - 1e-6, 1.0])
def test_float32_is_as_good_as_float64(a):
    """At a = 1/2 the quadratic is linear, at a = 1 its tangent vertical: there the usual root cancels."""
    for height in (0.0, 0.3, 1.0):
        handle = torch.tensor([[a, height]], dtype=torch.float64)
        halves = torch.cat([handle / 2, torch.full((1, 2), 0.5), 0.5 + handle / 2])
        for family, inner in ((Bezier(1), handle), (Bezier(2), halves)):
            g = curve_of(family, family.theta_of(inner).nan_to_num(0))
            y = torch.as_tensor(GRID, dtype=torch.float32)
            y64 = y.double().requires_grad_()
            expected = g(y64)
            (slope,) = torch.autograd.grad(expected.sum(), y64)
            error = (g(y).double() - expected.detach()).abs()
            assert (error <= 1e-6 * slope.abs().clamp_min(1)).all()


@pytest.mark.parametrize("family", [*CURVES.values(), *ABLATIONS.values()], ids=[*CURVES, *ABLATIONS])
def test_gradients_are_finite_at_the_ends_and_knots_for_every_corner(family):
    edges = torch.tensor([0, 1e-45, 1e-38, 1e-20, 1e-7, 0.5, 1 - 1e-7, 1])
    for theta in np.random.default_rng(0).choice([0, 0.4, 1], (100, family.num_parameters)):
        theta = theta if math.isfinite(family.interval[0]) else 200 * theta - 100
        g = curve_of(family, theta, torch.float32)
        y = torch.cat([edges, g.points[:, 0]]).requires_grad_()
        values = g(y)
        (slope,) = torch.autograd.grad(values.sum(), y)
        assert values.isfinite().all(), theta
        assert slope.isfinite().all(), theta


def test_slopes_of_a_monotone_family_are_not_negative():
    y = torch.linspace(0, 1, 101, dtype=torch.float64).requires_grad_()
    for corner in itertools.product([0.0, 0.4, 1.0], repeat=6):
        (slope,) = torch.autograd.grad(curve_of(Bezier(), corner)(y).sum(), y)
        assert (slope >= 0).all(), corner


@settings(max_examples=20, deadline=None)
@given(theta=thetas(Bezier(truth_table=False), inside))
def test_free_ends_start_where_theta_says(theta):
    g = curve_of(ABLATIONS["free_ends"], theta)
    start, rise = theta[-2], (1 - theta[-2]) * theta[-1]
    ends = g(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert ends[0] > 0
    assert_close(ends, torch.tensor([start, start + rise], dtype=torch.float64), rtol=0, atol=2e-6)
    crisp = g(torch.tensor([False, True]))
    assert_close(crisp, ends, rtol=0, atol=1e-6)


def test_free_heights_may_fall():
    g = curve_of(ABLATIONS["free_heights"], [1 / 4, 0.9, 1 / 3, 0.5, 1 / 2, 0.1])
    values = g(torch.linspace(0, 1, 201, dtype=torch.float64))
    assert values.diff().min() < -1e-3
    assert_close(g.points[1:-1, 1], torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64), rtol=0, atol=1e-6)
    assert_close(values[[0, -1]], torch.tensor([0, 1], dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("pieces", "scale"), [(1, 1), (4, 3), (5, 1)])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_rises_of_linear_are_a_softmax(pieces, scale, data):
    family = Linear(pieces, **({} if scale == 1 else {"scale": scale}))
    theta = data.draw(thetas(family))
    rises = softmax(scale * theta)
    heights = np.concatenate([[0], rises.cumsum()])
    g = curve_of(family, theta)
    np.testing.assert_allclose(
        g(torch.as_tensor(GRID)).numpy(), np.interp(GRID, np.linspace(0, 1, pieces + 1), heights), atol=1e-12
    )


def test_identity_family_has_no_parameters():
    y = torch.rand(5)
    assert_close(curve_of(Identity(), [], torch.float32)(y), y)


def test_a_batch_of_thetas_is_a_batch_of_curves():
    for family in (CURVES | ABLATIONS).values():
        theta = torch.rand(3, 2, family.num_parameters, dtype=torch.float64)
        points = family.control_points(theta)
        assert points.shape[:2] == (3, 2)
        assert_close(points[1, 0], family.control_points(theta[1, 0]))


@pytest.mark.parametrize("family", [Bezier, Linear])
@pytest.mark.parametrize("pieces", [0, -2, 1.5, "2", None])
def test_a_curve_needs_a_piece(family, pieces):
    with pytest.raises(InputError, match=f"pieces: expected an integer of 1 or more, got {pieces!r}"):
        family(pieces=pieces)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "5"])
def test_the_scale_of_linear_is_positive(scale):
    with pytest.raises(InputError, match=f"scale: expected a number above 0, got {scale!r}"):
        Linear(scale=scale)


@pytest.mark.parametrize("theta", [[0.5, 0.5, 1.0, 0.5, 0.999999, 0.5], [1.0, 0.5], [0.999999, 0.0]])
def test_what_rounding_puts_behind_the_end_is_finite(theta):
    """Products of maps may exceed 1 by a step of float32; the discriminant of a steep end is smaller than that."""
    y = torch.tensor([1.0, 1 + 2.0**-23, 1 + 2.0**-22], requires_grad=True)
    g = curve_of(Bezier(len(theta) // 4 + 1), theta)(y)
    assert_close(g, torch.ones(3), rtol=0, atol=0.05)
    assert torch.autograd.grad(g.sum(), y)[0].isfinite().all()
