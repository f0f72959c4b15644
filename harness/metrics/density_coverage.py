"""Density and coverage of generated images, on balls around the real ones.

Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models" (arXiv
2002.09797), section 3.2. Around each real image lies a ball as wide as the distance to its k-th
nearest other real image. Generated images have no balls, so an outlier among them widens nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.errors import SpecError
from harness.metrics.precision_recall import neighbour_distances, pairwise_distances

K = 5
"""Neighbours that decide a ball's width, as in the paper."""


FORM = "balls of real images' k-th neighbours, Euclidean, borders within, that fakes lie in"


class DensityCoverage(NamedTuple):
    """What another sample of the real distribution scores is 1 and 1 - 2^-k, for many images."""

    density: float
    """Real images' balls that a generated image lies in, on average, over k; >= 0, may pass 1."""
    coverage: float
    """Share of the real images' balls that hold a generated image, in [0, 1]."""


def density_coverage(
    fake: Tensor,
    real: Tensor,
    *,
    k: int = K,
    rows: int = 10000,
    columns: int = 10000,
    real_radii: Tensor | None = None,
) -> DensityCoverage:
    """Compare all of one set with all of the other; nothing is drawn.

    A ball holds its border, so equal sets have a density of (k + 1) / k.

    Args:
        fake: NF float32, features of the images judged.
        real: NF, of the reference, on the same device; N may differ.
        k: neighbours, 1 <= k < N of the real set.
        rows: real images that are compared at once with ...
        columns: ... this many fake ones; what of memory it takes, and no number.
        real_radii: N, ``neighbour_distances(real, k)`` where it is known already.

    Raises:
        SpecError: no image is judged, or a real one has no k-th neighbour.
    """
    if not 1 <= k < len(real) or len(fake) == 0:
        raise SpecError(
            [
                f"density and coverage: k is {k}, with {len(fake)} fake and {len(real)} real "
                f"images; it must be in 1..{len(real) - 1}, and one image be judged"
            ]
        )
    if real_radii is None:
        real_radii = neighbour_distances(real, k, rows, columns)
    inside = held = 0
    for centres, radii in zip(real.split(rows), real_radii.split(rows), strict=True):
        found = torch.zeros(len(centres), dtype=torch.bool, device=real.device)
        for points in fake.split(columns):
            within = pairwise_distances(centres, points) <= radii[:, None]
            inside += int(within.sum())
            found |= within.any(dim=1)
        held += int(found.sum())
    return DensityCoverage(inside / (k * len(fake)), held / len(real))
