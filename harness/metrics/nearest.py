"""The real images nearest to given ones, exactly: is a sample a copy of what was trained on?

Shape letters: N queries, M members, F features, k neighbours.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.metrics.precision_recall import pairwise_distances

_COLUMNS = 4096
"""Members compared at once: what of memory it takes, and no number."""
_MOST_MEMBERS = 500


class Nearest(NamedTuple):
    """The nearest members of each query, nearest first; of equally near ones the first."""

    indices: Tensor
    """Nk int64."""
    distances: Tensor
    """Nk float64, Euclidean."""


def nearest(
    queries: Tensor, members: Tensor, k: int, *, own: Tensor | None = None, columns: int = _COLUMNS
) -> Nearest:
    """Compare each query with all members, in float64.

    Args:
        queries: NF.
        members: MF, on the same device, M >= k (> k with ``own``).
        k: neighbours of each query.
        own: int64 N, the member that each query is, which is not a neighbour of itself.
        columns: members compared at once.
    """
    wide = queries.double()
    distances = wide.new_full((len(wide), 0), torch.inf)
    indices = torch.zeros_like(distances, dtype=torch.int64)
    for left in range(0, len(members), columns):
        block = members[left : left + columns].double()
        here = torch.arange(left, left + len(block), device=wide.device)
        found = pairwise_distances(wide, block)
        if own is not None:
            found[own[:, None] == here] = torch.inf
        distances = torch.cat([distances, found], dim=1)
        indices = torch.cat([indices, here.expand(len(wide), -1)], dim=1)
        # Stable: what came first stays first among equals.
        distances, order = distances.sort(dim=1, stable=True)
        distances, indices = distances[:, :k], indices.gather(1, order[:, :k])
    return Nearest(indices, distances)


def median_nearest(members: Tensor, most: int = _MOST_MEMBERS) -> tuple[float, int]:
    """Return the median distance of members MF to the nearest other one, and of how many it is.

    Of more than ``most`` members, evenly spread ones are held against all.
    """
    count = min(most, len(members))
    chosen = torch.linspace(0, len(members) - 1, count, dtype=torch.float64).round().long()
    chosen = chosen.to(members.device)
    found = nearest(members[chosen], members, 1, own=chosen)
    return float(found.distances.quantile(0.5)), count
