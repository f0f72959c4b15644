"""SIFID: does a sample look like the one image it was learned from (arXiv 1905.01164, section 3)?

The Fréchet distance between the features at all positions of one sample and those of the real
image. Every sample is held against the same real image; over samples the median is the value and
the quartiles are its spread. It rewards copies, so ``diversity`` stands beside it.

Shape letters: N samples, P positions, F features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import DataError
from harness.metrics import fid
from harness.metrics.fid import Statistics, covariance_root, frechet_distance, statistics_of

FORM = f"of all positions of one sample and of the real image: {fid.FORM}, not below 0"
SPREAD = ("median", "lower quartile", "upper quartile")
"""Over samples, interpolated: what ``Spread`` holds, for a protocol."""


@dataclass(frozen=True, kw_only=True)
class LocalReference:
    """What the parts of the real image look like to an extractor.

    Args:
        statistics: of its local features.
        root: FF float64, symmetric root of their covariance, which may be singular.
    """

    statistics: Statistics
    root: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "LocalReference":
        """Take the statistics of one image's local features, PF.

        Raises:
            DataError: there are fewer than 2 positions.
        """
        statistics = _statistics(features)
        return cls(statistics=statistics, root=covariance_root(statistics.cov))


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of SIFID over samples, and its quartiles."""

    median: float
    low: float
    high: float


def sifid(features: Tensor, real: LocalReference) -> float:
    """Return the SIFID of one sample, >= 0; 0 for the features of the real image.

    Args:
        features: PF, of any float type; P may differ from the real image's, and be below F.
        real: of the same extractor, on the same device.

    Raises:
        DataError: there are fewer than 2 positions.
    """
    # Rounding leaves about -1e-6 of what is 0.
    return max(frechet_distance(_statistics(features), real.statistics, real.root), 0.0)


def spread(values: list[float]) -> Spread:
    """Return median and quartiles, interpolated between neighbours.

    Raises:
        DataError: there are no values.
    """
    if not values:
        raise DataError("sifid: no images were given; draw at least one")
    shares = torch.tensor([0.5, 0.25, 0.75], dtype=torch.float64)
    return Spread(*torch.tensor(values, dtype=torch.float64).quantile(shares).tolist())


def _statistics(features: Tensor) -> Statistics:
    if len(features) < 2:
        raise DataError(
            f"sifid needs at least 2 positions, an image gave {len(features)}: take a larger image"
        )
    return statistics_of(features)
