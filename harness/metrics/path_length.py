"""Perceptual path length: how far an image moves for a small step in latent space.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks"
(arXiv 1812.04948), section 4.1, equations 2 and 3. Letters: N pairs, Z latent.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from mmengine.dist import get_rank
from torch import Tensor, nn

from harness.errors import DataError
from harness.ranks.answers import combined
from harness.ranks.dealt import dealt, portable
from harness.seeding import generator

EPSILON = 1e-4
"""Length of a step, as a share of the way: the paper's."""
Space = Literal["Z", "W"]
FORM = (
    f"mean of d(G(t), G(t + {EPSILON})) / {EPSILON}^2, t uniform on whole paths, no crop, without "
    "values outside the 1st to the 99th percentile"
)


def path_length(
    draw: Callable[[int, Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    ends: Tensor,
    share: Tensor,
    *,
    space: Space,
    epsilon: float = EPSILON,
    pairs: int = 250,
) -> float:
    """Return the mean of d(G(t), G(t + epsilon)) / epsilon^2 over N steps, outliers left out.

    Several processes draw a share of the steps each; all have to be given the same.

    Args:
        draw: given the number of the first step, turns latents or codes NZ into images float N3HW
            in [-1, 1]; the two ends of a step stand side by side, and have to be drawn with the
            same injected noise.
        distance: N distances between images, >= 0.
        ends: N2Z, between which the steps lie: latents for Z, their mapped codes for W.
        share: N, in [0, 1]: where on the way a step begins.
        space: Z interpolates spherically (equation 2), W linearly (equation 3).
        epsilon: length of a step, as a share of the way.
        pairs: steps that are drawn at once.

    Raises:
        DataError: there is no step.
        FloatingPointError: a distance is NaN or infinite.
    """
    if len(share) == 0:
        raise DataError("a path length needs at least one pair of images, none was asked for")
    own = dealt(len(share), pairs)[get_rank()]

    def distances(first: int) -> Tensor:
        steps = slice(first, first + pairs)
        images = draw(first, path_ends(ends[steps], share[steps], epsilon, space))
        return distance(images[0::2], images[1::2])

    def part() -> list[Tensor]:
        return portable([distances(first) for first in range(own.start, own.stop, pairs)])

    def whole(parts: list[list[Tensor]]) -> float:
        return mean_path_length(torch.cat([rows for part in parts for rows in part]), epsilon)

    return combined(part, whole)


def places(count: int, seed: int, images: int = 0) -> Tensor:
    """Return N places in [0, 1], uniform on whole paths, a function of seed and images shown."""
    random = generator(seed, "path places", images)
    return torch.rand(count, generator=random, dtype=torch.float64).float()


def mapping_of(network: nn.Module) -> nn.Module | None:
    """Return what maps a generator's latents to codes, ``style_mapping``; None if nothing does."""
    return dict(network.named_children()).get("style_mapping")


def slerp(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Go a share of the way on the great circle between directions; all NZ, the share N1.

    Returns vectors of length 1; equal directions stay where they are.
    """
    a, b = (torch.nn.functional.normalize(x, dim=-1) for x in (first, second))
    angle = (a * b).sum(dim=-1, keepdim=True).clamp(-1, 1).acos()
    across = torch.nn.functional.normalize(b - (a * b).sum(dim=-1, keepdim=True) * a, dim=-1)
    turned = a * (share * angle).cos() + across * (share * angle).sin()
    return torch.nn.functional.normalize(turned, dim=-1)


def path_ends(ends: Tensor, share: Tensor, epsilon: float, space: Space) -> Tensor:
    """Return the two ends of N small steps, (2N)Z: the pairs one after another.

    Args:
        ends: N2Z, between which the steps lie: latents for Z, their mapped codes for W.
        share: N, in [0, 1]: where on the way a step begins.
        epsilon: length of a step, as a share of the way.
        space: Z interpolates spherically (equation 2), W linearly (equation 3).
    """
    first, second = ends.unbind(1)
    move = slerp if space == "Z" else torch.lerp
    steps = [move(first, second, at[:, None]) for at in (share, share + epsilon)]
    return torch.stack(steps, dim=1).flatten(0, 1)


def crop_and_shrink(images: Tensor, crop: bool) -> Tensor:
    """Prepare images NCHW as the paper does for faces.

    Args:
        images: of any float type.
        crop: keep the middle: rows 3/8 to 7/8, columns 2/8 to 6/8. Images of more than 256 pixels
            are then averaged down to about 256.
    """
    if crop:
        c = images.shape[2] // 8
        images = images[:, :, 3 * c : 7 * c, 2 * c : 6 * c]
    factor = images.shape[2] // 256
    return torch.nn.functional.avg_pool2d(images, factor) if factor > 1 else images


def mean_path_length(distances: Tensor, epsilon: float) -> float:
    """Return the mean of distances / epsilon^2 between their 1st and 99th percentile.

    Args:
        distances: N, perceptual distance of each pair; the ends of the range are kept.
        epsilon: length of a step.

    Raises:
        DataError: no distance was given.
        FloatingPointError: one is NaN or infinite.
    """
    if len(distances) == 0:
        raise DataError("a path length needs at least one pair of images, none was given")
    if not bool(distances.isfinite().all()):
        raise FloatingPointError("a step of a path")
    lengths = distances.double().cpu().numpy() / epsilon**2
    low = np.percentile(lengths, 1, method="lower")
    high = np.percentile(lengths, 99, method="higher")
    return float(lengths[(lengths >= low) & (lengths <= high)].mean())
