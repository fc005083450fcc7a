"""The samplers of Optuna as strategies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from autosegloss.errors import InputError, not_installed, unknown
from autosegloss.search.strategy import Strategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

_EDGE = 1e-6  # of the axis of a number without bounds, which lies between -13.8 and 13.8


class OptunaSearch(Strategy):
    """A sampler of Optuna: "tpe" (tree-structured Parzen estimator) or "gp" (Gaussian process).

    The trials of a step are drawn one after the other, with a made-up score for those that are not yet trained. Each
    step makes the study anew from all that was told, so that a resumed search goes on bit for bit.

    Args:
        initial_mean: mu_0 (D,), each number within its bounds; it is the first point of a search that knows none.
        samples: M, the number of points per step.
        sigma: Not used; the samplers learn where to draw.
        seed: Seed of the draws.
        sampler: "tpe" or "gp".
        bounds: The interval of each number, (D, 2); None is [0, 1] for all. Samplers need ends: a number x without
            bounds is searched as 1 / (1 + exp(-x)).

    Raises:
        InputError: A setting is out of range, the sampler is unknown, or Optuna is not installed.

    Source: Akiba et al., "Optuna", KDD 2019, arXiv 1907.10902; Bergstra et al., NeurIPS 2011 (TPE).
    """

    def __init__(
        self,
        initial_mean: Sequence[float],
        samples: int = 32,
        sigma: float = 0.2,
        seed: int = 0,
        sampler: str = "tpe",
        bounds: Sequence[Sequence[float]] | None = None,
    ):
        super().__init__(initial_mean, samples, sigma, seed, bounds)
        if sampler not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        if find_spec("optuna") is None:
            raise InputError(not_installed("the samplers of Optuna", "optuna", extra="optuna"))
        self.sampler, self._seed = sampler, seed
        self._points: list[list[float]] = []
        self._scores: list[float] = []
        self._asks = 0

    def begin(self, points: np.ndarray, scores: np.ndarray) -> None:
        super().begin(points, scores)
        self._points, self._scores = points.tolist(), scores.tolist()

    def ask(self) -> np.ndarray:
        study = self._study()
        if not self._points:
            study.enqueue_trial(self._params(self.mean))
        self._asks += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls parts of it experimental
            asked = [self._drawn(study) for _ in range(self.samples)]
        return np.array(asked)

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        self._points += thetas.tolist()
        self._scores += scores.tolist()
        self.mean = np.array(self._points[int(np.argmax(self._scores))])

    def state_dict(self) -> dict[str, Any]:
        told = {"points": list(self._points), "scores": list(self._scores)}
        return {**self._described(), "seed": self._seed, "asks": self._asks, **told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._check_state(state)
        self.mean, self._seed, self._asks = np.array(state["mean"]), state["seed"], state["asks"]
        self._points, self._scores = list(state["points"]), list(state["scores"])

    @property
    def _names(self) -> list[str]:
        return [f"x{index}" for index in range(self.mean.size)]

    def _study(self) -> Study:
        """A study that knows all that was told, with a sampler of its own for each step."""
        import optuna
        from optuna.distributions import FloatDistribution

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls parts of it experimental
            sampler = SAMPLERS[self.sampler](int(np.random.default_rng((self._seed, self._asks)).integers(2**31)))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        axes = {name: FloatDistribution(low, high) for name, (low, high) in self._axes().items()}
        for point, score in zip(self._points, self._scores, strict=True):
            params = self._params(np.array(point))
            study.add_trial(optuna.create_trial(params=params, distributions=axes, value=score))
        return study

    def _axes(self) -> dict[str, tuple[float, float]]:
        """The ends of the axes by name."""
        ends = np.stack([self.bounds.low, self.bounds.high], axis=1)
        ends[~self.bounds.bounded] = _EDGE, 1 - _EDGE
        return {name: (low, high) for name, (low, high) in zip(self._names, ends.tolist(), strict=True)}

    def _params(self, point: np.ndarray) -> dict[str, float]:
        """The numbers of a point (D,) on the axes."""
        squashed = expit(point).clip(_EDGE, 1 - _EDGE)
        return dict(zip(self._names, np.where(self.bounds.bounded, point, squashed).tolist(), strict=True))

    def _drawn(self, study: Study) -> list[float]:
        trial = study.ask()
        drawn = np.array([trial.suggest_float(name, *ends) for name, ends in self._axes().items()])
        return np.where(self.bounds.bounded, drawn, logit(drawn)).tolist()


def _tpe(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _gp(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], Any]] = {"tpe": _tpe, "gp": _gp}
