"""The distribution that control values are drawn from: a normal cut off at the borders of [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import truncnorm
from torch import Tensor


class TruncatedNormal:
    """D independent normals of location mu and scale sigma, cut off at 0 and 1 (section 4.3).

    p(theta; mu) = prod_d phi((theta_d - mu_d) / sigma) / (sigma Z(mu_d))
    Z(mu)        = Phi((1 - mu) / sigma) - Phi(-mu / sigma)
    mu (D,) may lie on or outside the border; a tensor that requires grad makes `log_prob` differentiable.
    """

    def __init__(self, mean: Tensor | np.ndarray, sigma: float):
        self.mean = torch.as_tensor(mean, dtype=torch.float64)
        self.sigma = sigma

    def sample(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """Draw (samples, D) values by inversion: exactly one uniform number of `rng` for each."""
        mean = self.mean.detach().numpy()
        low, high = -mean / self.sigma, (1 - mean) / self.sigma
        uniform = rng.random((samples, mean.size))
        return truncnorm.ppf(uniform, low, high, loc=mean, scale=self.sigma).clip(0.0, 1.0)

    def log_prob(self, theta: Tensor | np.ndarray) -> Tensor:
        """Log density of each coordinate, (..., D) -> (..., D), -inf outside [0, 1]; sum = joint."""
        theta = torch.as_tensor(theta, dtype=torch.float64)
        z = (theta - self.mean) / self.sigma
        density = -0.5 * z.square() - _HALF_LOG_TWO_PI - np.log(self.sigma) - self._log_mass()
        return density.where((theta >= 0) & (theta <= 1), -torch.inf)

    def _log_mass(self) -> Tensor:
        """log Z(mu), (D,); as Z(mu) = Z(1 - mu), on the side where both Phi are small and do not cancel."""
        centre = -(self.mean - 0.5).abs() / self.sigma
        reach = 0.5 / self.sigma
        lower, upper = torch.special.log_ndtr(centre - reach), torch.special.log_ndtr(centre + reach)
        return upper + torch.log(-torch.expm1(lower - upper))


_HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)
