"""CMA-ES: the distribution of thetas learns its mean, its width and its correlations from the ranks of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cmaes import CMA, get_warm_start_mgd

from autosegloss.errors import InputError
from autosegloss.search.strategy import Strategy

ENOUGH = 20
"""Known points from which on their distribution is worth more than the best of them."""
_BEST = 0.25  # of the known points


class CMAES(Strategy):
    """The covariance matrix adaptation evolution strategy, of the package cmaes, within bounds.

    It uses the ranks of a step alone, so that scores of any scale do. A trial that failed ranks last. It begins around
    the best known point, and with ENOUGH of them with the mean, width and correlations of their best quarter.

    Args:
        initial_mean: mu_0 (D,), each number within its bounds.
        samples: M, the number of thetas per step, 4 or more.
        sigma: Standard deviation of the first step.
        seed: Seed of the draws.
        bounds: The interval of each number, (D, 2); None is [0, 1] for all.

    Raises:
        InputError: A setting is out of range.

    Example:
        >>> strategy = CMAES(initial_mean=[0.5, 0.5], samples=8)
        >>> for _ in range(5):
        ...     thetas = strategy.ask()
        ...     strategy.tell(thetas, scores=1 - thetas[:, 0])
        >>> bool(strategy.mean[0] < 0.4)
        True

    Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772; the beginning with known points: Nomura
    et al., "Warm Starting CMA-ES for Hyperparameter Optimization", AAAI 2021, arXiv 2012.06932.
    """

    _cma: CMA
    _asked: np.ndarray
    _asks: int
    _told: list[tuple[int, list[list[float]], list[float]]]
    _known: tuple[list[list[float]], list[float]]
    _seed: int

    def __init__(
        self,
        initial_mean: Sequence[float],
        samples: int = 32,
        sigma: float = 0.2,
        seed: int = 0,
        bounds: Sequence[Sequence[float]] | None = None,
    ):
        super().__init__(initial_mean, samples, sigma, seed, bounds)
        if samples < 4:  # the better half of a step gives the new covariance
            raise InputError(f"samples: expected 4 or more for CMA-ES, got {samples}")
        self._first_mean, self._known = self.mean, ([], [])
        self._start(seed)

    def begin(self, points: np.ndarray, scores: np.ndarray) -> None:
        self._known = points.tolist(), scores.tolist()
        self._start(self._seed)

    def ask(self) -> np.ndarray:
        self._asks += 1
        self._asked = self.bounds.clip(np.array([self._cma.ask() for _ in range(self.samples)]))
        return self._asked.copy()

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        self._told.append((self._asks, thetas.tolist(), scores.tolist()))
        self._asks = 0
        if scores.max() > scores.min():
            losses = dict(zip(map(tuple, thetas), -scores, strict=True))
            self._cma.tell([(theta, losses.get(tuple(theta), -scores.min())) for theta in self._asked])
            self.mean = self.bounds.clip(self._cma.mean)

    def state_dict(self) -> dict[str, Any]:
        """The seed and all that was asked and told: doing it again leads to the same state, bit for bit."""
        done = {"known": self._known, "told": list(self._told), "asks": self._asks}
        return {**self._described(), "seed": self._seed, **done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._check_state(state)
        points, scores = state["known"]
        self._known = list(points), list(scores)
        self._start(state["seed"])
        for asks, thetas, scores in state["told"]:
            self._ask_again(asks)
            self._learn(np.array(thetas), np.array(scores))
        self._ask_again(state["asks"])

    def _ask_again(self, times: int) -> None:
        for _ in range(times):
            self.ask()

    def _start(self, seed: int) -> None:
        self._seed, self._asks = seed, 0
        self._told, self._asked = [], np.empty((0, self._first_mean.size))
        self.mean, sigma, covariance = self._distribution()
        bounds = np.stack([self.bounds.low, self.bounds.high], axis=1)
        settings = {"bounds": bounds, "seed": seed, "population_size": self.samples, "cov": covariance}
        self._cma = CMA(self.mean.copy(), sigma, **settings)

    def _distribution(self) -> tuple[np.ndarray, float, np.ndarray | None]:
        """Mean, width and covariance of the first step."""
        points, scores = self._known
        if not points:
            return self._first_mean, self.sigma, None
        if len(points) < ENOUGH:
            return np.array(points[int(np.argmax(scores))]), self.sigma, None
        losses = [(np.array(point), -score) for point, score in zip(points, scores, strict=True)]
        mean, sigma, covariance = get_warm_start_mgd(losses, gamma=_BEST)
        return self.bounds.clip(mean), sigma, covariance
