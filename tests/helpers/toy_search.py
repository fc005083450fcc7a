"""A search of a toy score: a bowl with noise in the place of trainings."""

import numpy as np

from autosegloss.search.ppo import ADVANTAGES, PARAMETERIZATIONS, RATIOS

IDENTITY = np.tile([1 / 4, 1 / 4, 1 / 3, 1 / 3, 1 / 2, 1 / 2], 2)
OPTIMUM = np.random.default_rng(7).uniform(0.1, 0.9, IDENTITY.size)
VARIANTS = [{"ratio": ratio, "parameter": parameter} for ratio in RATIOS for parameter in PARAMETERIZATIONS]
VARIANTS += [{"ratio": "joint", "parameter": "mean", "advantage": name} for name in ADVANTAGES if name != "centred"]


def toy_score(thetas, noise):
    return 0.5 - 0.1 * ((thetas - OPTIMUM) ** 2).sum(-1) + 0.003 * noise.normal(size=len(thetas))


def search(strategy, steps, noise_seed=0):
    noise = np.random.default_rng(noise_seed)
    history = []
    for _ in range(steps):
        thetas = strategy.ask()
        scores = toy_score(thetas, noise)
        strategy.tell(thetas, scores)
        history.append((thetas, scores, strategy.mean.copy()))
    return history
