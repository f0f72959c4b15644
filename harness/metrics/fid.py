"""Frechet distance between two sets of features, from float64 statistics.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium", equation 6: ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``.

``S1 S2`` is not symmetric, but it has the eigenvalues of ``R S1 R`` with ``R = S2^(1/2)``, which
is. So the trace of the root is a sum over real eigenvalues, and ``R`` is computed once a data set.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import DataError

FORM = "|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) in float64, S divided by N - 1"
"""What is computed, for protocols: who changes its numbers changes this, here as elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Mean and covariance of N features.

    Args:
        mean: F, float64.
        cov: FF, float64, unbiased (divided by N - 1).
        count: N.
    """

    mean: Tensor
    cov: Tensor
    count: int

    @property
    def full_rank(self) -> bool:
        """Whether N > F; otherwise the covariance is singular and FID is strongly biased."""
        return self.count > self.mean.numel()


class StatisticsAccumulator:
    """Statistics of a stream of features, the same for any division of it into batches.

    The mean and the scatter matrix are merged batch by batch in float64 (Chan, Golub and LeVeque
    1983, equations 2.1), which loses no digits when the mean is large next to the spread.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = torch.zeros(())
        self._scatter = torch.zeros(())

    def update(self, features: Tensor) -> None:
        """Add a batch of features, NF, of any float type and on any device.

        Whether they are finite is looked at by ``compute``, so that a GPU need not be waited for.
        """
        batch = features.double()
        n = len(batch)
        if n == 0:
            return
        mean = batch.mean(dim=0)
        centred = batch - mean
        scatter = centred.T @ centred
        if self.count > 0:
            delta = mean - self._mean
            total = self.count + n
            scatter += self._scatter + torch.outer(delta, delta) * (self.count * n / total)
            mean = self._mean + delta * (n / total)
        self._mean, self._scatter, self.count = mean, scatter, self.count + n

    def compute(self) -> Statistics:
        """Return the statistics of everything added so far.

        Raises:
            FloatingPointError: one is NaN or infinite.
            DataError: fewer than 2 features were added.
        """
        self.require_finite()
        if self.count < 2:
            raise DataError(f"a covariance needs at least 2 images, {self.count} given: add more")
        cov = self._scatter / (self.count - 1)
        return Statistics(mean=self._mean, cov=(cov + cov.T) / 2, count=self.count)

    def require_finite(self) -> None:
        """Raise FloatingPointError if a feature added so far is NaN or infinite."""
        # No mean ever recovers from one.
        if not bool(self._mean.isfinite().all()):
            raise FloatingPointError("a feature of an image")


def statistics_of(features: Tensor) -> Statistics:
    """Return the statistics of features, NF with N >= 2."""
    accumulator = StatisticsAccumulator()
    accumulator.update(features)
    return accumulator.compute()


def covariance_root(cov: Tensor) -> Tensor:
    """Return the symmetric root of a covariance, FF float64; rounding below zero counts as zero."""
    values, vectors = torch.linalg.eigh(cov)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def frechet_distance(fake: Statistics, real: Statistics, real_root: Tensor | None = None) -> float:
    """Return the Frechet distance, >= 0 but for rounding; 0 for equal statistics.

    Args:
        fake: statistics of the images judged.
        real: statistics of the reference, on the same device and with the same F.
        real_root: ``covariance_root(real.cov)`` where it is already known; halves the cost.
    """
    root = covariance_root(real.cov) if real_root is None else real_root
    product = root @ fake.cov @ root
    eigenvalues = torch.linalg.eigvalsh((product + product.T) / 2)
    trace_of_root = eigenvalues.clamp_min(0).sqrt().sum()
    distance = (fake.mean - real.mean).square().sum() + fake.cov.trace() + real.cov.trace()
    return float(distance - 2 * trace_of_root)
