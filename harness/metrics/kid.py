"""Kernel distance (KID): squared MMD of features under a cubic kernel.

Binkowski et al. 2018, "Demystifying MMD GANs", section 4: ``k(x, y) = (x.y / F + 1)^3``. The
estimator is unbiased: its expectation is the same for any number of images. How far it scatters is
told by fresh latents; subsets of one set overlap, so their spread over the root of their number
would tell too little.
"""

import numpy as np
import torch
from torch import Tensor

from harness.errors import SpecError

FORM = "unbiased squared MMD of k(x, y) = (x.y / F + 1)^3 in float64, mean over random subsets"


def kid(
    fake: Tensor, real: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> float:
    """Return the mean of squared MMD over random subsets; near 0, even below, for equal laws.

    Subsets are drawn as torch-fidelity draws them (fake first, then real, without
    replacement, from one numpy RandomState), so with the same seed the subsets are the same.

    Args:
        fake: NF, features of the images judged.
        real: NF, features of the reference, on the same device; N may differ.
        subsets: number of pairs of subsets, >= 1.
        subset_size: images in a subset, in 2..N.
        seed: of the draw.

    Raises:
        SpecError: no subset, a subset of fewer than two images or larger than either set.
    """
    limit = min(len(fake), len(real))
    if subsets < 1 or not 2 <= subset_size <= limit:
        raise SpecError(
            [
                f"kid: subsets {subsets} x subset_size {subset_size}, allowed is >= 1 x 2..{limit} "
                f"with {len(fake)} fake and {len(real)} real images: "
                "lower kid_subset_size or raise fake_images"
            ]
        )
    rng = np.random.RandomState(seed)
    total = torch.zeros((), dtype=torch.float64, device=fake.device)
    for _ in range(subsets):
        x, y = (_subset(features, subset_size, rng) for features in (fake, real))
        total += squared_mmd(x, y)
    return float(total / subsets)


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """Return the unbiased squared MMD of two sets of m features, mF each, m >= 2, as one number.

    Gretton et al. 2012, "A Kernel Two-Sample Test", equation 3.
    """
    m = len(x)
    within = _off_diagonal_sum(_kernel(x, x)) + _off_diagonal_sum(_kernel(y, y))
    return within / (m * (m - 1)) - 2 * _kernel(x, y).mean()


def _subset(features: Tensor, size: int, rng: np.random.RandomState) -> Tensor:
    chosen = torch.from_numpy(rng.choice(len(features), size, replace=False))
    # The distance is a small difference of large sums, so float32 is too coarse for it.
    return features[chosen.to(features.device)].double()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    base = torch.addmm(torch.ones((), dtype=x.dtype, device=x.device), x, y.T, alpha=1 / x.shape[1])
    return (base * base).mul_(base)


def _off_diagonal_sum(kernel: Tensor) -> Tensor:
    return kernel.sum() - kernel.trace()
