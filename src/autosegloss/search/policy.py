"""The search distribution of theta: a normal distribution, truncated to where the parameters of a curve lie."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import truncnorm
from torch import Tensor

from autosegloss.search.bounds import Bounds

_HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


class TruncatedNormal:
    """D independent normal distributions with location mu and scale sigma, each truncated to its interval [a, b].

    p(theta; mu) = prod_d phi((theta_d - mu_d) / sigma) / (sigma Z(mu_d))
    Z(mu)        = Phi((b - mu) / sigma) - Phi((a - mu) / sigma)

    The interval is [0, 1] for Bezier curves (section 4.3). On the real line, as for piecewise linear curves (appendix
    B), Z = 1: a normal distribution without truncation.

    Args:
        mean: mu (D,), the mean before truncation; it may lie outside of its interval. With a tensor that requires
            grad, `log_prob` is differentiable in mu.
        sigma: Standard deviation before truncation, above 0.
        bounds: The intervals; None is [0, 1] for all.

    Example:
        >>> policy = TruncatedNormal(np.array([0.25, 0.5]), sigma=0.2)
        >>> thetas = policy.sample(np.random.default_rng(0), samples=3)
        >>> thetas.shape
        (3, 2)
        >>> policy.log_prob(thetas).sum(-1).shape
        torch.Size([3])
    """

    def __init__(self, mean: Tensor | np.ndarray, sigma: float, bounds: Bounds | None = None):
        self.mean = torch.as_tensor(mean, dtype=torch.float64)
        self.sigma = sigma
        self.bounds = bounds or Bounds(None, self.mean.numel())

    def sample(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """Draw `samples` thetas, (samples, D), by inversion of the distribution function.

        Each value takes exactly one uniform number of `rng`, so that a restored generator repeats the draw.
        """
        mean = self.mean.detach().numpy()
        low, high = ((end - mean) / self.sigma for end in (self.bounds.low, self.bounds.high))
        uniform = rng.random((samples, mean.size))
        return self.bounds.clip(truncnorm.ppf(uniform, low, high, loc=mean, scale=self.sigma))

    def log_prob(self, theta: Tensor | np.ndarray) -> Tensor:
        """log p(theta_d; mu_d) of each coordinate, (..., D) -> (..., D); -inf outside of the interval.

        The sum over the last axis is the log density of the whole vector.
        """
        theta = torch.as_tensor(theta, dtype=torch.float64)
        z = (theta - self.mean) / self.sigma
        density = -0.5 * z.square() - _HALF_LOG_TWO_PI - np.log(self.sigma) - self._log_mass()
        low, high = torch.from_numpy(self.bounds.low), torch.from_numpy(self.bounds.high)
        return density.where((theta >= low) & (theta <= high), -torch.inf)

    def _log_mass(self) -> Tensor:
        """log Z(mu), (D,), without cancellation: Z(mu) = Z(a + b - mu), so both Phi are taken in the lower tail."""
        low, high = map(torch.from_numpy, self.bounds.finite)
        centre = -(self.mean - (low + high) / 2).abs() / self.sigma
        reach = (high - low) / 2 / self.sigma
        lower, upper = torch.special.log_ndtr(centre - reach), torch.special.log_ndtr(centre + reach)
        return (upper + torch.log(-torch.expm1(lower - upper))).where(torch.from_numpy(self.bounds.bounded), 0.0)
