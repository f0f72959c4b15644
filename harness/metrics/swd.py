"""Sliced Wasserstein distance between local patches, scale by scale.

PGGAN (Karras et al. 2018, "Progressive Growing of GANs", section 5): 128 patches of 7x7 pixels
an image are taken from each level of a Laplacian pyramid down to 16 pixels, normalised by the mean
and deviation of each colour channel, and compared along 512 random directions.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import SpecError

PATCH_PX = 7
PATCHES_PER_IMAGE = 128
COARSEST_PX = 16
DIRECTIONS = 512

FORM = (
    f"{PATCHES_PER_IMAGE} patches of {PATCH_PX}x{PATCH_PX} px an image and level of a Laplacian "
    f"pyramid down to {COARSEST_PX} px, channels normalised, {DIRECTIONS} directions, x 1000, mean "
    "of the levels"
)

Border = Literal["reflect", "zero"]


def level_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return (H, W) of each pyramid level, finest first, the last of at least 16 pixels.

    Raises:
        SpecError: the image itself is smaller than 16 pixels.
    """
    if min(height, width) < COARSEST_PX:
        raise SpecError(
            [
                f"swd: images are {height}x{width}, it needs at least {COARSEST_PX}x{COARSEST_PX}: "
                "take swd out of the metrics"
            ]
        )
    sizes = [(height, width)]
    while min(smaller := tuple((side + 1) // 2 for side in sizes[-1])) >= COARSEST_PX:
        sizes.append((smaller[0], smaller[1]))
    return tuple(sizes)


def laplacian_pyramid(images: Tensor, levels: int, border: Border = "reflect") -> list[Tensor]:
    """Divide images into band-pass levels, finest first, and a low-pass rest.

    Burt and Adelson 1983, "The Laplacian Pyramid as a Compact Image Code". Upsampling inserts
    zeros between pixels and filters with four times the kernel.

    Args:
        images: NCHW, any float type.
        levels: tensors to return, >= 1; each level halves the sides of the one before, upwards.
        border: what lies outside an image. ``"zero"`` is MMagic's form, which also upsamples by
            repeating pixels; it darkens borders, and its numbers are not the paper's.
    """
    pyramid = [images]
    for _ in range(levels - 1):
        coarse = _filter(pyramid[-1], border)[..., ::2, ::2]
        pyramid[-1] = pyramid[-1] - _upsample(coarse, pyramid[-1].shape[-2:], border)
        pyramid.append(coarse)
    return pyramid


def patches(images: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return 128 random patches an image at each level: (N * 128)(C * 49) float32 each.

    Args:
        images: NCHW uint8, at least 16 pixels a side.
        generator: draws the places, on the CPU; N images take the same draws at once or in parts.

    Raises:
        SpecError: images are too small.
    """
    levels = len(level_sizes(*images.shape[-2:]))
    return patches_at(images, places(len(images), levels, generator))


def places(count: int, levels: int, generator: torch.Generator) -> Tensor:
    """Draw where N images' patches lie at L levels: N L 128 2 float64 in [0, 1), on the CPU."""
    shape = (count, levels, PATCHES_PER_IMAGE, 2)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def patches_at(images: Tensor, places: Tensor) -> list[Tensor]:
    """Return what ``patches`` does, at places that were drawn, N L 128 2."""
    chosen = places.to(images.device)
    pyramid = laplacian_pyramid(images.float(), places.shape[1])
    return [_patches_of_level(level, chosen[:, i]) for i, level in enumerate(pyramid)]


def sliced_wasserstein(first: Tensor, second: Tensor, directions: Tensor) -> float:
    """Return the mean distance of two sets of M descriptors along unit directions.

    Rabin et al. 2011, "Wasserstein Barycenter and Its Application to Texture Mixing": in one
    dimension, the distance pairs the sorted values.

    Args:
        first: MF.
        second: MF, the same M.
        directions: F and any number of columns, each of length 1.
    """
    total = torch.zeros((), dtype=torch.float64, device=first.device)
    # A few directions at a time: the projections of all would need several GiB.
    for columns in directions.to(first.device).split(32, dim=1):
        a, b = ((columns.T @ descriptors.T).sort(dim=1).values for descriptors in (first, second))
        total += (a - b).abs().mean(dim=1).double().sum()
    return float(total / directions.shape[1])


def swd(fake: Sequence[Tensor], real: Sequence[Tensor], generator: torch.Generator) -> list[float]:
    """Return the distance times 1000 at each level, finest first; lower is better.

    Args:
        fake: patches of the images judged, one tensor a level.
        real: patches of as many real images, of the same shapes.
        generator: draws the directions, on the CPU.
    """
    distances = []
    for a, b in zip(fake, real, strict=True):
        directions = torch.randn(a.shape[1], DIRECTIONS, generator=generator)
        directions = F.normalize(directions, dim=0)
        distances.append(1e3 * sliced_wasserstein(_normalise(a), _normalise(b), directions))
    return distances


def _normalise(descriptors: Tensor) -> Tensor:
    channels = descriptors.view(len(descriptors), -1, PATCH_PX * PATCH_PX)
    deviation, mean = torch.std_mean(channels, dim=(0, 2), keepdim=True, correction=0)
    # A channel of one single value has nothing to compare: it becomes zeros, not NaN.
    return ((channels - mean) / deviation.clamp_min(1e-12)).flatten(1)


def _patches_of_level(level: Tensor, places: Tensor) -> Tensor:
    N, C, H, W = level.shape
    windows = level.unfold(2, PATCH_PX, 1).unfold(3, PATCH_PX, 1)
    free = torch.tensor([H - PATCH_PX + 1, W - PATCH_PX + 1], device=level.device)
    y, x = (places * free).long().unbind(-1)
    image = torch.arange(N, device=level.device)[:, None]
    return windows[image, :, y, x].reshape(-1, C * PATCH_PX * PATCH_PX)


def _upsample(images: Tensor, size: Sequence[int], border: Border) -> Tensor:
    if border == "zero":
        return _filter(F.interpolate(images, size=tuple(size)), border)
    spread = images.new_zeros(*images.shape[:2], *size)
    spread[..., ::2, ::2] = images
    return 4 * _filter(spread, border)


def _filter(images: Tensor, border: Border) -> Tensor:
    """Filter with the binomial kernel of 5 taps in both directions."""
    N, C, H, W = images.shape
    taps = images.new_tensor([1, 4, 6, 4, 1]) / 16
    mode = "constant" if border == "zero" else "reflect"
    flat = F.pad(images.reshape(N * C, 1, H, W), (2, 2, 2, 2), mode=mode)
    return F.conv2d(F.conv2d(flat, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1)).view_as(images)
