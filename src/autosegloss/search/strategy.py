"""Search strategies: propose thetas (`ask`), then learn from the scores of their trials (`tell`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from autosegloss.errors import InputError, positive, whole_number
from autosegloss.search.bounds import Bounds
from autosegloss.search.history import History
from autosegloss.search.policy import TruncatedNormal
from autosegloss.search.trials import Choice


class Strategy(ABC):
    """The outer loop of the search (algorithm 1): M thetas per step, drawn around a mean mu that learns from scores.

    A subclass defines in `_learn` how mu moves.

    Args:
        initial_mean: mu_0 (D,), each number within its bounds.
        samples: M, the number of thetas per step.
        sigma: Standard deviation of the normal distribution before truncation, fixed during the search.
        seed: Seed of the draws.
        bounds: The interval of each number, (D, 2), as the curve family has it; None is [0, 1] for all.

    Raises:
        InputError: A setting is out of range.

    Example:
        >>> strategy = RandomSearch(initial_mean=[0.5, 0.5], samples=4)
        >>> thetas = strategy.ask()
        >>> thetas.shape
        (4, 2)
        >>> strategy.tell(thetas, scores=thetas.mean(axis=1))
    """

    def __init__(
        self,
        initial_mean: Sequence[float],
        samples: int = 32,
        sigma: float = 0.2,
        seed: int = 0,
        bounds: Sequence[Sequence[float]] | None = None,
    ):
        self.bounds = Bounds(bounds, np.size(initial_mean))
        self.mean = self._checked_mean(initial_mean)
        self.samples = whole_number("samples", samples, least=1)
        self.sigma = positive("sigma", sigma)
        self._rng = np.random.default_rng(whole_number("seed", seed, least=0))

    def begin(self, points: np.ndarray, scores: np.ndarray) -> None:
        """Begin with what is known, before the first `ask`: the best point takes the place of mu_0.

        Args:
            points: (N, D), within the bounds; N of 1 or more.
            scores: Their scores (N,), of any scale; higher is better.
        """
        self.mean = self._checked_mean(points[int(np.argmax(scores))].tolist())

    def around(self, mean: Tensor | np.ndarray) -> TruncatedNormal:
        """The distribution with location `mean` (D,) that thetas are drawn from."""
        return TruncatedNormal(mean, self.sigma, self.bounds)

    def ask(self) -> np.ndarray:
        """Draw the thetas of the next step, (M, D), within the bounds."""
        return self.around(self.mean).sample(self._rng, self.samples)

    def tell(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Learn from the scored trials of a step.

        Args:
            thetas: The thetas of these trials, (M', D) with 1 <= M' <= M.
            scores: Their scores under the target metric, (M',); higher is better.

        Raises:
            ValueError: The shapes do not fit, a score is not finite, or a theta lies out of bounds.
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
        if not self.bounds.contain(thetas):
            raise ValueError(f"expected thetas in {self.bounds}")
        self._learn(thetas, scores)

    @abstractmethod
    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Move `mean` by the validated thetas (M', D) and scores (M',)."""

    def result(self, history: History) -> Choice:
        """The mu of the step with the highest mean score, the result of algorithm 1.

        Raises:
            InputError: No trial of an ended step has finished.
        """
        return history.best_mean()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next `ask` depends on, in plain types that JSON stores exactly."""
        return {**self._described(), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`, bit for bit.

        Raises:
            InputError: The state is of a search over other control values.
        """
        self._check_state(state)
        self.mean = np.array(state["mean"], np.float64)
        self._rng.bit_generator.state = state["rng"]

    def _described(self) -> dict[str, Any]:
        """The mean, and how many coordinates have no bounds."""
        return {"mean": self.mean.tolist(), "unbounded": int((~self.bounds.bounded).sum())}

    def _check_state(self, state: dict[str, Any]) -> None:
        expected, got = (
            f"{len(each['mean'])} control values" + f", {each['unbounded']} without bounds" * bool(each["unbounded"])
            for each in (self._described(), {"unbounded": 0, **state})
        )
        if expected != got:
            raise InputError(f"expected the state of a search over {expected}, got {got}: start a new search")

    def _checked_mean(self, initial_mean: Sequence[float]) -> np.ndarray:
        mean = np.array(initial_mean, np.float64)
        if mean.ndim != 1 or not mean.size or not self.bounds.contain(mean):
            raise InputError(f"initial mean: expected a list of numbers in {self.bounds}, got {initial_mean}")
        return mean


class RandomSearch(Strategy):
    """The baseline of figure 3: every step draws from the initial distribution, and the best trial is the result."""

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Keep mu."""

    def result(self, history: History) -> Choice:
        """The trial with the highest score.

        Raises:
            InputError: No trial has finished.
        """
        return history.best_samples(1)[0]
