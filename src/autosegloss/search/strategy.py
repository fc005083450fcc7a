"""How a search proposes control values and learns from their scores: ask, train the trials, tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from autosegloss.errors import InputError, positive, whole_number
from autosegloss.search.history import History, Theta
from autosegloss.search.policy import TruncatedNormal


class Strategy(ABC):
    """Proposes M thetas in [0, 1]^D a step, drawn around `mean` (D,); subclasses say how `mean` learns.

    Raises InputError where the settings cannot be searched with.
    """

    def __init__(self, initial_mean: Sequence[float], samples: int = 32, sigma: float = 0.2, seed: int = 0):
        self.mean = _checked_mean(initial_mean)
        self.samples = whole_number("samples", samples, least=1)
        self.sigma = positive("sigma", sigma)
        self._rng = np.random.default_rng(whole_number("seed", seed, least=0))

    def ask(self) -> np.ndarray:
        """Draw the thetas of the next step, (M, D)."""
        return TruncatedNormal(self.mean, self.sigma).sample(self._rng, self.samples)

    def tell(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Learn from the finished trials of the step: thetas (M', D), scores (M',), 1 <= M' <= M.

        Raises ValueError where the shapes do not fit or a number is out of range.
        """
        thetas, scores = np.asarray(thetas, np.float64), np.asarray(scores, np.float64)
        if thetas.ndim != 2 or thetas.shape != (scores.size, self.mean.size) or scores.ndim != 1:
            raise ValueError(
                f"expected thetas (M, {self.mean.size}) and scores (M,), got {thetas.shape}, {scores.shape}"
            )
        if not 1 <= scores.size <= self.samples:
            raise ValueError(f"expected 1 to {self.samples} finished trials, got {scores.size}")
        if not np.isfinite(scores).all():
            raise ValueError("expected finite scores: leave out the trials that failed")
        if not ((thetas >= 0) & (thetas <= 1)).all():
            raise ValueError("expected thetas in [0, 1]")
        self._learn(thetas, scores)

    @abstractmethod
    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Move `mean` by thetas (M', D) and scores (M',), already checked."""

    def result(self, history: History) -> tuple[str, Theta, float]:
        """(what, theta (D,), score): the mu of the step of the best mean score, the paper's rule (section 4.3)."""
        best = history.best_step()
        return f"mu of step {best.index}", best.mean, best.average

    def state_dict(self) -> dict:
        """All that the next `ask` depends on, in plain types that JSON keeps exactly."""
        return {"mean": self.mean.tolist(), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict) -> None:
        """Continue where `state_dict` was taken, bit for bit; raises ValueError where D differs."""
        mean = np.array(state["mean"], np.float64)
        if mean.shape != self.mean.shape:
            raise ValueError(f"expected the state of a search over {self.mean.size} control values, got {mean.size}")
        self.mean = mean
        self._rng.bit_generator.state = state["rng"]


class RandomSearch(Strategy):
    """The baseline of the paper's figure 3: all steps are drawn from the first TN(mu_0, sigma)."""

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Learn nothing."""

    def result(self, history: History) -> tuple[str, Theta, float]:
        """(what, theta (D,), score): the best trial, since mu has not moved."""
        best = history.best_trials(1)
        if not best:
            history.best_step()  # says that nothing has finished
        return f"sample {best[0].index} of step {best[0].step}", best[0].theta, best[0].score


def _checked_mean(initial_mean: Sequence[float]) -> np.ndarray:
    mean = np.array(initial_mean, np.float64)
    if mean.ndim != 1 or not mean.size or not ((mean >= 0) & (mean <= 1)).all():
        raise InputError(f"initial mean: expected a list of numbers in [0, 1], got {initial_mean}")
    return mean
