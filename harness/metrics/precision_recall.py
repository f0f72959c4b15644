"""Precision and recall of generated images, on manifolds of nearest neighbours.

Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models"
(arXiv 1904.06991), equations 1 and 2: the manifold of a set is the union of balls around its
members, each as wide as the distance to the member's k-th nearest neighbour.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.errors import SpecError

K = 3
"""Neighbours that decide a ball's width, as in the paper."""


FORM = "share of one set within the balls of the other's k-th neighbours, Euclidean, borders within"


class PrecisionRecall(NamedTuple):
    """Two shares in [0, 1]."""

    precision: float
    """Generated images that lie on the manifold of the real ones."""
    recall: float
    """Real images that lie on the manifold of the generated ones."""


def precision_recall(
    fake: Tensor,
    real: Tensor,
    *,
    k: int = K,
    rows: int = 10000,
    columns: int = 10000,
    real_radii: Tensor | None = None,
) -> PrecisionRecall:
    """Compare all of one set with all of the other; nothing is drawn.

    Args:
        fake: NF float32, features of the images judged.
        real: NF, of the reference, on the same device; N may differ.
        k: neighbours, 1 <= k < N of either set.
        rows: images that are compared at once with ...
        columns: ... this many; what of memory it takes, and no number.
        real_radii: N, ``neighbour_distances(real, k)`` where it is known already.

    Raises:
        SpecError: a set has no k-th neighbour.
    """
    limit = min(len(fake), len(real)) - 1
    if not 1 <= k <= limit:
        raise SpecError(
            [
                f"precision and recall: k is {k}, with {len(fake)} fake and {len(real)} real "
                f"images it must be in 1..{limit}"
            ]
        )
    if real_radii is None:
        real_radii = neighbour_distances(real, k, rows, columns)
    fake_radii = neighbour_distances(fake, k, rows, columns)
    on_real = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    on_fake = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for top in range(0, len(fake), rows):
        here = slice(top, top + rows)
        for left in range(0, len(real), columns):
            there = slice(left, left + columns)
            distances = pairwise_distances(fake[here], real[there])
            on_real[here] |= (distances <= real_radii[there]).any(dim=1)
            on_fake[there] |= (distances <= fake_radii[here, None]).any(dim=0)
    return PrecisionRecall(int(on_real.sum()) / len(fake), int(on_fake.sum()) / len(real))


def neighbour_distances(
    features: Tensor, k: int, rows: int = 10000, columns: int = 10000
) -> Tensor:
    """Return each member's distance to its k-th nearest *other* member, N, of features NF."""
    return nearest_distances(features, k, rows, columns)[:, -1]


def nearest_distances(features: Tensor, k: int, rows: int = 10000, columns: int = 10000) -> Tensor:
    """Return each member's distances to its k nearest *other* members, rising, of features NF.

    Column j - 1 of the N x k holds what ``neighbour_distances(features, j)`` gives.
    """
    nearest = []
    for start in range(0, len(features), rows):
        block = features[start : start + rows]
        best = block.new_full((len(block), k), torch.inf)
        for left in range(0, len(features), columns):
            distances = pairwise_distances(block, features[left : left + columns])
            own = torch.arange(start, start + len(block), device=block.device) - left
            within = (own >= 0) & (own < distances.shape[1])
            distances[within.nonzero()[:, 0], own[within]] = torch.inf
            best = torch.cat([best, distances], dim=1).topk(k, largest=False).values
        nearest.append(best)
    return torch.cat(nearest)


def pairwise_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the Euclidean distances NM of features NF to features MF, any block's the same."""
    # By differences: the form by products gives equal images a distance other than 0.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
