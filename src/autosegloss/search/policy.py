"""The search distribution of theta: a normal distribution truncated to [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import truncnorm
from torch import Tensor

_HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


class TruncatedNormal:
    """D independent normal distributions with location mu and scale sigma, truncated to [0, 1] (section 4.3).

    p(theta; mu) = prod_d phi((theta_d - mu_d) / sigma) / (sigma Z(mu_d))
    Z(mu)        = Phi((1 - mu) / sigma) - Phi(-mu / sigma)

    Args:
        mean: mu (D,), the mean before truncation; it may lie outside [0, 1]. With a tensor that requires grad,
            `log_prob` is differentiable in mu.
        sigma: Standard deviation before truncation, above 0.

    Example:
        >>> policy = TruncatedNormal(np.array([0.25, 0.5]), sigma=0.2)
        >>> thetas = policy.sample(np.random.default_rng(0), samples=3)
        >>> thetas.shape
        (3, 2)
        >>> policy.log_prob(thetas).sum(-1).shape
        torch.Size([3])
    """

    def __init__(self, mean: Tensor | np.ndarray, sigma: float):
        self.mean = torch.as_tensor(mean, dtype=torch.float64)
        self.sigma = sigma

    def sample(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """Draw `samples` thetas, (samples, D), by inversion of the distribution function.

        Each value takes exactly one uniform number of `rng`, so that a restored generator repeats the draw.
        """
        mean = self.mean.detach().numpy()
        low, high = -mean / self.sigma, (1 - mean) / self.sigma
        uniform = rng.random((samples, mean.size))
        return truncnorm.ppf(uniform, low, high, loc=mean, scale=self.sigma).clip(0.0, 1.0)

    def log_prob(self, theta: Tensor | np.ndarray) -> Tensor:
        """log p(theta_d; mu_d) of each coordinate, (..., D) -> (..., D); -inf outside [0, 1].

        The sum over the last axis is the log density of the whole vector.
        """
        theta = torch.as_tensor(theta, dtype=torch.float64)
        z = (theta - self.mean) / self.sigma
        density = -0.5 * z.square() - _HALF_LOG_TWO_PI - np.log(self.sigma) - self._log_mass()
        return density.where((theta >= 0) & (theta <= 1), -torch.inf)

    def _log_mass(self) -> Tensor:
        """log Z(mu), (D,), without cancellation: Z(mu) = Z(1 - mu), so both Phi are taken in the lower tail."""
        centre = -(self.mean - 0.5).abs() / self.sigma
        reach = 0.5 / self.sigma
        lower, upper = torch.special.log_ndtr(centre - reach), torch.special.log_ndtr(centre + reach)
        return upper + torch.log(-torch.expm1(lower - upper))
