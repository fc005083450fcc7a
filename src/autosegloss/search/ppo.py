"""PPO2 on the location mu of the distribution of theta (section 4.3 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError, positive, unknown, whole_number
from autosegloss.search.strategy import Strategy

_Option = TypeVar("_Option")


def joint(log_ratio: Tensor) -> Tensor:
    """r = p(theta; mu) / p(theta; mu_old) of the whole vector, (M, D) -> (M, 1), as in the paper."""
    return _exp(log_ratio.sum(-1, keepdim=True))


def coordinate(log_ratio: Tensor) -> Tensor:
    """r_d = p(theta_d; mu_d) / p(theta_d; mu_old_d) per coordinate, (M, D) -> (M, D), as in the paper's release."""
    return _exp(log_ratio)


def _exp(log_ratio: Tensor) -> Tensor:
    """exp, bounded: a negative advantage leaves the ratio unclipped from above, and infinity has no gradient."""
    return log_ratio.clamp_max(60.0).exp()


def centred(scores: Tensor) -> Tensor:
    """A = score - mean score of the step, (M,) -> (M,), as in the paper."""
    return _zero_if_constant(scores - scores.mean(), scores)


def standardised(scores: Tensor) -> Tensor:
    """A = (score - mean score) / standard deviation, (M,) -> (M,): independent of the scale of the metric."""
    return centred(scores) / scores.std(correction=0).clamp_min(torch.finfo(scores.dtype).tiny)


def _zero_if_constant(advantages: Tensor, scores: Tensor) -> Tensor:
    """Exact zeros for equal scores: Adam would scale the rounding error of the mean up to full steps."""
    return advantages.where(scores.max() > scores.min(), 0.0)


class Parameterization(NamedTuple):
    """The coordinates x of the gradient ascent for mu in [0, 1]: mu -> x, x -> mu, and the bounds of x."""

    from_mean: Callable[[Tensor], Tensor]
    to_mean: Callable[[Tensor], Tensor]
    low: float
    high: float


RATIOS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({"joint": joint, "coordinate": coordinate})
ADVANTAGES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"centred": centred, "standardised": standardised}
)
PARAMETERIZATIONS: Mapping[str, Parameterization] = MappingProxyType(
    {
        "mean": Parameterization(torch.clone, torch.clone, 0.0, 1.0),
        # Beyond +-12 mu is within 1e-5 of the border, and the gradient of the sigmoid vanishes.
        "logit": Parameterization(lambda mean: mean.logit().clamp(-12.0, 12.0), torch.sigmoid, -12.0, 12.0),
    }
)


class PPO(Strategy):
    """Maximises the clipped objective of PPO2 over mu, with `updates` steps of Adam per step of the search.

    J(mu) = 1/M sum_i min(r_i A_i, clip(r_i, 1 - epsilon, 1 + epsilon) A_i)
    r_i   = p(theta_i; mu) / p(theta_i; mu_old),  A_i = score_i - mean score

    This is the update of algorithm 1 with the reward R(mu, mu_t, Theta_i) of section 4.3, which solves the outer
    problem of eq. 14. The paper does not give the learning rate.

    Args:
        initial_mean: mu_0 (D,), each number within its bounds.
        samples: M, the number of thetas per step.
        sigma: Standard deviation of the normal distribution before truncation, fixed during the search.
        epsilon: Clipping range of the ratio, between 0 and 1.
        updates: Steps of Adam per step of the search.
        learning_rate: Learning rate of Adam.
        ratio: "joint" for the ratio of the whole vector, "coordinate" for one ratio per coordinate.
        parameter: The coordinates of the ascent, "mean" for mu or "logit" for logit(mu); where mu has no bounds it is
            mu itself.
        advantage: "centred", or "standardised" to divide by the standard deviation as well.
        seed: Seed of the draws.
        bounds: The interval of each number, (D, 2); None is [0, 1] for all.

    Raises:
        InputError: A setting is out of range, or an option is unknown.

    Example:
        >>> strategy = PPO(initial_mean=[0.5, 0.5], samples=8)
        >>> for _ in range(5):
        ...     thetas = strategy.ask()
        ...     strategy.tell(thetas, scores=1 - thetas[:, 0])
        >>> bool(strategy.mean[0] < 0.5)
        True
    """

    def __init__(
        self,
        initial_mean: Sequence[float],
        samples: int = 32,
        sigma: float = 0.2,
        epsilon: float = 0.1,
        updates: int = 100,
        learning_rate: float = 0.015,
        ratio: str = "joint",
        parameter: str = "mean",
        advantage: str = "centred",
        seed: int = 0,
        bounds: Sequence[Sequence[float]] | None = None,
    ):
        super().__init__(initial_mean, samples, sigma, seed, bounds)
        self.epsilon = positive("epsilon", epsilon)
        self.updates = whole_number("updates", updates, least=1)
        self.learning_rate = positive("learning_rate", learning_rate)
        self._ratio = _choose("ratio", ratio, RATIOS)
        self._parameterization = _choose("parameter", parameter, PARAMETERIZATIONS)
        self._advantage = _choose("advantage", advantage, ADVANTAGES)
        if epsilon >= 1:
            raise InputError(f"epsilon: expected a number between 0 and 1, got {epsilon}")

    def objective(self, mean: Tensor, old_log_prob: Tensor, thetas: Tensor, advantages: Tensor) -> Tensor:
        """J(mu), a scalar tensor, differentiable in `mean`.

        Args:
            mean: mu (D,).
            old_log_prob: log p(theta_d; mu_old_d), (M, D).
            thetas: The thetas of the step, (M, D).
            advantages: A (M,).
        """
        ratio = self._ratio(self.around(mean).log_prob(thetas) - old_log_prob)
        clipped = ratio.clamp(1 - self.epsilon, 1 + self.epsilon)
        gain = advantages[:, None]
        return torch.minimum(ratio * gain, clipped * gain).mean(0).sum()

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Maximise J over mu with a new Adam: mu is all that a step leaves to the next."""
        advantages = self._advantage(torch.from_numpy(scores))
        if not advantages.any():
            return
        drawn = torch.from_numpy(thetas)
        old_log_prob = self.around(self.mean).log_prob(drawn)
        x = self._from_mean(torch.from_numpy(self.mean)).requires_grad_()
        low, high = self._limits()
        adam = torch.optim.Adam([x], lr=self.learning_rate, maximize=True)
        for _ in range(self.updates):
            adam.zero_grad()
            self.objective(self._to_mean(x), old_log_prob, drawn, advantages).backward()
            adam.step()
            with torch.no_grad():
                x.clamp_(low, high)
        self.mean = self._to_mean(x).detach().numpy()

    def _from_mean(self, mean: Tensor) -> Tensor:
        """The coordinates x (D,) of mu (D,)."""
        low, high = map(torch.from_numpy, self.bounds.finite)
        return self._parameterization.from_mean((mean - low) / (high - low)).where(self._bounded, mean)

    def _to_mean(self, x: Tensor) -> Tensor:
        """mu (D,) of the coordinates x (D,)."""
        low, high = map(torch.from_numpy, self.bounds.finite)
        return (low + (high - low) * self._parameterization.to_mean(x)).where(self._bounded, x)

    def _limits(self) -> tuple[Tensor, Tensor]:
        """The bounds of x, (D,) each."""
        unit, free = self._parameterization, torch.full_like(self._bounded, torch.inf, dtype=torch.float64)
        return (-free).masked_fill(self._bounded, unit.low), free.masked_fill(self._bounded, unit.high)

    @property
    def _bounded(self) -> Tensor:
        return torch.from_numpy(self.bounds.bounded)


def _choose(kind: str, name: str, options: Mapping[str, _Option]) -> _Option:
    if name not in options:
        raise unknown(kind, name, options)
    return options[name]
