"""FID of infinitely many generated images, by extrapolation.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them"
(arXiv 1911.07023), section 3: the expected FID of N generated images is ``FID_inf + c / N`` and
smaller terms, with a constant c that depends on the generator. So FIDs of several N are fitted by
a straight line over 1 / N (least squares), whose value at 0 is FID_inf.

The paper draws further images for each N where there are enough; here all N are random parts of
one set. The number of real images stays what it is: their part of the bias is not extrapolated.
"""

import torch
from torch import Tensor

from harness.errors import SpecError
from harness.metrics.fid import Statistics, frechet_distance, statistics_of
from harness.seeding import generator
from harness.spec.vocabulary import FEWEST_PER_FEATURE

POINTS = 15
"""Parts of the set, as in the paper."""
_SMALLEST = 10
"""The smallest part is a tenth of the set, as in the paper's 5,000 of 50,000."""
FORM = (
    f"FID at 1 / N = 0 by least squares over {POINTS} N from the larger of 1 / {_SMALLEST} of the "
    f"images and {FEWEST_PER_FEATURE // 2} a feature to all, random parts of one set"
)


def fid_infinity(
    features: Tensor, real: Statistics, real_root: Tensor | None = None, *, seed: int = 2020
) -> float:
    """Return the extrapolated Frechet distance; near 0, even below, for equal laws.

    Args:
        features: NF, of the images judged, N at least 4 F.
        real: statistics of the reference, on the same device and with the same F.
        real_root: ``covariance_root(real.cov)`` where it is already known.
        seed: of the parts' draw; each is drawn without replacement, and by itself.

    Raises:
        SpecError: too few images.
    """
    draws = generator(seed, "fid infinity parts")
    inverse, distances = [], []
    for size in sizes(*features.shape):
        part = torch.randperm(len(features), generator=draws)[:size]
        statistics = statistics_of(features[part.to(features.device)])
        inverse.append(1 / size)
        distances.append(frechet_distance(statistics, real, real_root))
    return _at_zero(inverse, distances)


def sizes(images: int, features: int) -> list[int]:
    """Return how many images each part has: evenly spaced up to all, rising.

    Raises:
        SpecError: there are fewer than 4 images a feature.
    """
    # With fewer than two images a feature in the smallest part, terms beyond 1 / N are large.
    fewest = FEWEST_PER_FEATURE * features
    if images < fewest:
        raise SpecError(
            [f"fid_inf: {images} images are too few for {features} features: at least {fewest}"]
        )
    low = max(images // _SMALLEST, fewest // 2)
    return [low + (images - low) * step // (POINTS - 1) for step in range(POINTS)]


def _at_zero(places: list[float], values: list[float]) -> float:
    """Return the value at 0 of the straight line of least squares."""
    x, y = sum(places) / len(places), sum(values) / len(values)
    rise = sum((p - x) * (v - y) for p, v in zip(places, values, strict=True))
    return y - x * rise / sum((p - x) ** 2 for p in places)
