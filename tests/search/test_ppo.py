"""The mathematics of PPO compared with references, and the input that it refuses."""

import json

import numpy as np
import pytest
import torch
from helpers.toy_search import IDENTITY, OPTIMUM, VARIANTS, search, toy_score
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import truncnorm

from autosegloss.errors import InputError
from autosegloss.search import PPO, RandomSearch, TruncatedNormal
from autosegloss.search.ppo import PARAMETERIZATIONS, RATIOS


def test_state_is_a_copy():
    strategy = PPO(IDENTITY, samples=4)
    state = json.dumps(kept := strategy.state_dict())
    search(strategy, 2)
    assert json.dumps(kept) == state


def test_state_of_another_size_is_refused():
    with pytest.raises(ValueError, match="6 control values, got 12"):
        PPO(IDENTITY[:6]).load_state_dict(PPO(IDENTITY).state_dict())


def test_some_finished_trials_suffice():
    strategy = PPO(IDENTITY, samples=8)
    thetas = strategy.ask()
    strategy.tell(thetas[:2], np.array([0.1, 0.2]))
    assert np.linalg.norm(strategy.mean - thetas[1]) < np.linalg.norm(IDENTITY - thetas[1])


@pytest.mark.parametrize(
    ("thetas", "scores"),
    [
        (np.full((2, 12), 0.5), [0.1, np.nan]),
        (np.full((2, 12), 0.5), [0.1, np.inf]),
        (np.full((2, 12), np.nan), [0.1, 0.2]),
        (np.full((2, 12), 1.5), [0.1, 0.2]),
        (np.full((2, 12), 0.5), [0.1]),
        (np.full((2, 11), 0.5), [0.1, 0.2]),
        (np.full((0, 12), 0.5), []),
        (np.full((4, 12), 0.5), [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_bad_scores_are_refused_and_change_nothing(thetas, scores):
    strategy = PPO(IDENTITY, samples=3)
    with pytest.raises(ValueError, match="expected"):
        strategy.tell(thetas, scores)
    np.testing.assert_array_equal(strategy.mean, IDENTITY)


@pytest.mark.parametrize(
    "setting",
    [
        {"samples": 0},
        {"sigma": 0.0},
        {"sigma": float("nan")},
        {"epsilon": 0.0},
        {"epsilon": 1.0},
        {"samples": 1.5},
        {"sigma": "wide"},
        {"seed": -1},
        {"updates": 0},
        {"updates": 1.5},
        {"updates": float("inf")},
        {"epsilon": None},
        {"learning_rate": -1.0},
        {"ratio": "joined"},
        {"parameter": "log"},
        {"advantage": "rank"},
        {"initial_mean": [0.5, 1.5]},
        {"initial_mean": []},
    ],
)
def test_bad_settings_are_named(setting):
    with pytest.raises(InputError, match=next(iter(setting)).replace("_", "[_ ]")):
        PPO(**{"initial_mean": IDENTITY, **setting})


def numpy_objective(ratio, mean, old, thetas, advantages, sigma, epsilon):
    def density(mu):
        return truncnorm(-mu / sigma, (1 - mu) / sigma, loc=mu, scale=sigma).pdf(thetas)

    r = density(mean) / density(old)
    r = r.prod(1, keepdims=True) if ratio == "joint" else r
    a = advantages[:, None]
    return np.minimum(r * a, np.clip(r, 1 - epsilon, 1 + epsilon) * a).mean(0).sum()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(RATIOS)), st.integers(0, 2**32), st.floats(0.0, 0.1))
def test_objective_and_its_gradient(ratio, seed, distance):
    rng = np.random.default_rng(seed)
    old = rng.uniform(0.1, 0.9, 4)
    mean = (old + distance * rng.normal(size=4)).clip(0.01, 0.99)
    ppo = PPO(old, samples=6, ratio=ratio)
    thetas, advantages = ppo.ask(), rng.normal(size=6)

    def value(mu):
        return numpy_objective(ratio, mu, old, thetas, advantages, 0.2, 0.1)

    x = torch.tensor(mean, requires_grad=True)
    old_log_prob = TruncatedNormal(old, 0.2).log_prob(thetas)
    found = ppo.objective(x, old_log_prob, torch.from_numpy(thetas), torch.from_numpy(advantages))
    assert found.item() == pytest.approx(value(mean), rel=1e-9, abs=1e-12)
    found.backward()
    finite = [(value(mean + h) - value(mean - h)) / 2e-7 for h in 1e-7 * np.eye(4)]
    np.testing.assert_allclose(x.grad, finite, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ppo_climbs_and_beats_random_search(variant):
    rate = {"mean": 0.02, "logit": 0.1}[variant["parameter"]]
    ppo = PPO(IDENTITY, samples=16, learning_rate=rate, epsilon=0.2, updates=50, **variant)
    mean = search(ppo, 10)[-1][2]
    drawn = np.concatenate([thetas for thetas, _, _ in search(RandomSearch(IDENTITY, samples=16), 10)])
    exact = 0.1 * ((drawn - OPTIMUM) ** 2).sum(-1)
    assert 0.1 * ((mean - OPTIMUM) ** 2).sum() < 0.8 * exact.min()
    assert 0.1 * ((mean - OPTIMUM) ** 2).sum() < 0.4 * 0.1 * ((IDENTITY - OPTIMUM) ** 2).sum()


def test_clipping_bounds_the_step_of_each_coordinate():
    thetas = PPO(IDENTITY, samples=32).ask()
    scores = toy_score(thetas, np.random.default_rng(0))

    def step(epsilon):
        ppo = PPO(IDENTITY, ratio="coordinate", epsilon=epsilon, updates=200)
        ppo.tell(thetas, scores)
        return np.abs(ppo.mean - IDENTITY).mean()

    assert 0 < step(0.05) < 0.6 * step(0.2)


@pytest.mark.parametrize("parameter", sorted(PARAMETERIZATIONS))
@pytest.mark.parametrize(("sigma", "rate"), [(0.005, 1.0), (0.2, 0.01)])
def test_nothing_becomes_nan_at_the_border(parameter, sigma, rate):
    settings = {"sigma": sigma, "parameter": parameter, "learning_rate": rate, "samples": 6, "updates": 30}
    strategy = PPO([0.0, 1.0, 0.0, 1.0] * 10, **settings)
    rng = np.random.default_rng(0)
    for _ in range(3):
        thetas = strategy.ask()
        strategy.tell(thetas, rng.normal(size=6))
        assert np.isfinite(strategy.mean).all()
        assert ((strategy.mean >= 0) & (strategy.mean <= 1)).all()


@pytest.mark.parametrize("ratio", sorted(RATIOS))
def test_a_ratio_beyond_every_float_keeps_a_gradient(ratio):
    ppo = PPO([0.1], sigma=0.005, ratio=ratio)
    thetas = torch.tensor([[0.9], [0.89], [0.91]], dtype=torch.float64)
    old_log_prob = TruncatedNormal(ppo.mean, ppo.sigma).log_prob(thetas)
    mean = torch.tensor([0.9], dtype=torch.float64, requires_grad=True)
    value = ppo.objective(mean, old_log_prob, thetas, torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64))
    value.backward()
    assert value.isfinite()
    assert mean.grad.isfinite().all()


def test_the_callers_mean_is_not_touched():
    given_mean = IDENTITY.copy()
    search(PPO(given_mean, samples=4), 1)
    np.testing.assert_array_equal(given_mean, IDENTITY)
