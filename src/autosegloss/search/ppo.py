"""PPO2 on the location mu of the truncated normal (section 4.3 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError, positive, unknown, whole_number
from autosegloss.search.policy import TruncatedNormal
from autosegloss.search.strategy import Strategy


def joint(log_ratio: Tensor) -> Tensor:
    """r = p(theta; mu) / p(theta; mu_old) of the whole vector, (M, D) -> (M, 1), as the paper writes."""
    return _exp(log_ratio.sum(-1, keepdim=True))


def coordinate(log_ratio: Tensor) -> Tensor:
    """r_d = p(theta_d; mu_d) / p(theta_d; mu_old_d), (M, D) -> (M, D): clipped one by one, as released."""
    return _exp(log_ratio)


def _exp(log_ratio: Tensor) -> Tensor:
    # with a negative advantage nothing clips the ratio from above, and infinity has no gradient
    return log_ratio.clamp_max(60.0).exp()


def centred(scores: Tensor) -> Tensor:
    """A = score - mean score of the step, (M,) -> (M,), as the paper writes."""
    return _exact_zero_if_constant(scores - scores.mean(), scores)


def standardised(scores: Tensor) -> Tensor:
    """A = (score - mean score) / standard deviation, (M,) -> (M,): the scale of the metric drops out."""
    return centred(scores) / scores.std(correction=0).clamp_min(torch.finfo(scores.dtype).tiny)


def _exact_zero_if_constant(advantages: Tensor, scores: Tensor) -> Tensor:
    # Adam scales the smallest gradient up to a full step: the rounding error of the mean must not become one.
    return advantages.where(scores.max() > scores.min(), 0.0)


class Parameter(NamedTuple):
    """The coordinates x that gradient ascent moves in: mu -> x, x -> mu, and the range x is kept in."""

    of_mean: Callable[[Tensor], Tensor]
    to_mean: Callable[[Tensor], Tensor]
    low: float
    high: float


RATIOS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({"joint": joint, "coordinate": coordinate})
ADVANTAGES = MappingProxyType({"centred": centred, "standardised": standardised})
PARAMETERS = MappingProxyType(
    {
        "mean": Parameter(torch.clone, torch.clone, 0.0, 1.0),
        # beyond +-12, mu is within 1e-5 of the border and the gradient of the sigmoid is gone for good
        "logit": Parameter(lambda mean: mean.logit().clamp(-12.0, 12.0), torch.sigmoid, -12.0, 12.0),
    }
)


class PPO(Strategy):
    """Raises mu by the clipped objective of PPO2, `updates` steps of Adam for every M trials.

    J(mu) = mean_i min(r_i A_i, clip(r_i, 1 - epsilon, 1 + epsilon) A_i), sigma fixed (section 4.3).
    Raises InputError where a setting is out of range or a choice unknown.
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
    ):
        super().__init__(initial_mean, samples, sigma, seed)
        self.epsilon = positive("epsilon", epsilon)
        self.updates = whole_number("updates", updates, least=1)
        self.learning_rate = positive("learning_rate", learning_rate)
        self._ratio = _choose("ratio", ratio, RATIOS)
        self._parameter = _choose("parameter", parameter, PARAMETERS)
        self._advantage = _choose("advantage", advantage, ADVANTAGES)
        if epsilon >= 1:
            raise InputError(f"epsilon: expected a number between 0 and 1, got {epsilon}")

    def objective(self, mean: Tensor, old_log_prob: Tensor, thetas: Tensor, advantages: Tensor) -> Tensor:
        """J at `mean` (D,), a scalar; thetas and their `old_log_prob` are (M, D), advantages (M,)."""
        ratio = self._ratio(TruncatedNormal(mean, self.sigma).log_prob(thetas) - old_log_prob)
        clipped = ratio.clamp(1 - self.epsilon, 1 + self.epsilon)
        gain = advantages[:, None]
        return torch.minimum(ratio * gain, clipped * gain).mean(0).sum()

    def _learn(self, thetas: np.ndarray, scores: np.ndarray) -> None:
        """Maximise J over mu, beginning a fresh Adam: nothing but mu is carried from step to step."""
        advantages = self._advantage(torch.from_numpy(scores))
        if not advantages.any():
            return
        thetas = torch.from_numpy(thetas)
        old_log_prob = TruncatedNormal(self.mean, self.sigma).log_prob(thetas)
        x = self._parameter.of_mean(torch.from_numpy(self.mean)).requires_grad_()
        adam = torch.optim.Adam([x], lr=self.learning_rate, maximize=True)
        for _ in range(self.updates):
            adam.zero_grad()
            self.objective(self._parameter.to_mean(x), old_log_prob, thetas, advantages).backward()
            adam.step()
            with torch.no_grad():
                x.clamp_(self._parameter.low, self._parameter.high)
        self.mean = self._parameter.to_mean(x).detach().numpy()


def _choose(kind: str, name: str, known: Mapping):
    if name not in known:
        raise unknown(kind, name, known)
    return known[name]
