"""The truncated normal distribution compared with scipy's, which is computed in another way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm, truncnorm

from autosegloss.search import Bounds, TruncatedNormal
from autosegloss.search.bounds import REAL, UNIT

means = st.lists(st.floats(-1.0, 2.0), min_size=1, max_size=5)
sigmas = st.floats(0.02, 5.0)


def reference(mean, sigma):
    mean = np.asarray(mean)
    return truncnorm(-mean / sigma, (1 - mean) / sigma, loc=mean, scale=sigma)


@settings(max_examples=30, deadline=None)
@given(means, sigmas, st.floats(0.0, 1.0))
def test_log_density_is_scipys(mean, sigma, theta):
    found = TruncatedNormal(np.array(mean), sigma).log_prob(np.full(len(mean), theta))
    np.testing.assert_allclose(found, reference(mean, sigma).logpdf(theta), rtol=1e-8, atol=1e-8)


@settings(max_examples=12, deadline=None)
@given(st.floats(-30.0, 31.0), st.floats(0.01, 10.0))
def test_density_integrates_to_one_however_far_out_the_mean_is(mean, sigma):
    nearest = np.clip(mean, 0, 1)
    # all the mass lies near the border when the mean is beyond it: integrate on a grid that is dense there
    width = np.geomspace(1e-9, 1.0, 20001)
    theta = np.unique(np.concatenate([[nearest], nearest - width, nearest + width]).clip(0, 1))
    density = TruncatedNormal(np.array([mean]), sigma).log_prob(theta[:, None]).exp().numpy()[:, 0]
    assert np.trapezoid(density, theta) == pytest.approx(1.0, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(means, sigmas, st.floats(0.0, 1.0))
def test_gradient_is_the_finite_difference(mean, sigma, theta):
    mu = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
    TruncatedNormal(mu, sigma).log_prob(np.full(len(mean), theta)).sum().backward()
    h = 1e-5 * sigma
    up, down = (TruncatedNormal(np.array(mean) + s * h, sigma).log_prob(theta) for s in (1, -1))
    np.testing.assert_allclose(mu.grad, (up - down) / (2 * h), rtol=1e-3, atol=1e-4 / sigma)


def test_without_bounds_it_is_the_normal_distribution():
    """Beside a coordinate with bounds, which it leaves as it is."""
    mean, theta = np.array([0.4, -3.0]), np.array([[0.1, -2.7], [0.9, 40.0]])
    policy = TruncatedNormal(mu := torch.tensor(mean, requires_grad=True), 0.2, Bounds([UNIT, REAL], 2))
    found = policy.log_prob(theta)
    np.testing.assert_array_equal(found.detach()[:, :1], TruncatedNormal(mean[:1], 0.2).log_prob(theta[:, :1]))
    np.testing.assert_allclose(found.detach()[:, 1], norm(-3.0, 0.2).logpdf(theta[:, 1]), rtol=1e-12)
    found.sum().backward()
    assert mu.grad[1].item() == pytest.approx(((theta[:, 1] + 3) / 0.2**2).sum())
    drawn = policy.sample(np.random.default_rng(0), 500)
    uniform = np.random.default_rng(0).random((500, 2))
    np.testing.assert_allclose(drawn[:, 1], norm(-3.0, 0.2).ppf(uniform[:, 1]), rtol=1e-9)
    np.testing.assert_array_equal(drawn[:, 0], reference(0.4, 0.2).ppf(uniform[:, 0]))


def test_density_is_zero_outside_the_unit_cube_and_the_gradient_stays_finite():
    mu = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    log_prob = TruncatedNormal(mu, 0.2).log_prob(np.array([[-0.1, 0.3], [1.1, 0.0]]))
    assert torch.isneginf(log_prob[:, 0]).all()
    assert log_prob[:, 1].isfinite().all()
    log_prob[:, 1].sum().backward()
    assert mu.grad.isfinite().all()


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.25, 1.0, 1.7])
def test_samples_follow_the_distribution(mean):
    samples = TruncatedNormal(np.array([mean]), 0.2).sample(np.random.default_rng(0), 4000)
    assert samples.shape == (4000, 1)
    assert kstest(samples[:, 0], reference(mean, 0.2).cdf).pvalue > 0.01


@settings(max_examples=25, deadline=None)
@given(means, sigmas, st.integers(0, 2**32))
def test_samples_lie_in_the_unit_cube_and_depend_on_the_generator_alone(mean, sigma, seed):
    policy = TruncatedNormal(np.array(mean), sigma)
    first, again = (policy.sample(np.random.default_rng(seed), 6) for _ in range(2))
    assert ((first >= 0) & (first <= 1)).all()
    np.testing.assert_array_equal(first, again)
