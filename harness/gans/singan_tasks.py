"""What one trained SinGAN can do without more training (arXiv 1905.01164, section 4).

Paint-to-image, harmonization and editing are one operation, an image injected at a scale, and
differ in the scale that suits. Images are float N3HW in [-1, 1]. Shape letters: N images, H W
pixels, S scales.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import DataError, SpecError
from harness.gans.singan import SinGAN
from harness.isolation import evaluating
from harness.networks.singan import SinGANMultiScaleGenerator
from harness.seeding import generator

MAX_PIXELS = 2**22
"""Of one image that is drawn: the networks' features of it take about 2 GiB."""


def checked_size(height: int, width: int) -> tuple[int, int]:
    """Return a size in px that can be drawn.

    Raises:
        SpecError: it is empty or too large.
    """
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise SpecError(
            [f"{height}x{width} px cannot be drawn: give 1 to {MAX_PIXELS} pixels, as 250x400"]
        )
    return height, width


def injected(
    model: SinGAN,
    network: nn.Module,
    image: Tensor,
    latents: Tensor,
    start_scale: int,
    mask: Tensor | None = None,
) -> Tensor:
    """Return images that begin with the given one at a scale; finer scales add their detail.

    Args:
        model: trained.
        network: the generator or a shadow of it.
        image: 13HW in [-1, 1], of any size; its aspect ratio is kept.
        latents: int64 (N,), as ``SinGAN.latents`` draws them.
        start_scale: the first scale that adds detail, from 1 on; the coarser, the freer.
        mask: 11HW in [0, 1], of the image's size: what may change; elsewhere the image stays.

    Returns:
        N3hw in [-1, 1] with the longer side of the image that was trained on.

    Raises:
        SpecError: the scale is not possible.
        DataError: the mask has another size, or is black everywhere.
    """
    height, width = image.shape[-2:]
    share = max(model.sizes[-1]) / max(height, width)
    size = max(1, round(height * share)), max(1, round(width * share))
    images = model.draw(
        network, latents, {"image": image, "start_scale": start_scale, "size": size}
    ).clamp(-1, 1)
    if mask is None:
        return images
    if mask.shape[-2:] != image.shape[-2:]:
        masked = " x ".join(map(str, reversed(mask.shape[-2:])))
        raise DataError(
            f"the mask is {masked} px and the image {width} x {height} px: make them of one size"
        )
    if not mask.any():
        raise DataError("the mask is black everywhere, so nothing would change: paint it white")
    return torch.lerp(resized(image, size), images, resized(mask, size).clamp(0, 1))


def super_resolved(
    model: SinGAN, network: nn.Module, image: Tensor, factor: float, seed: int
) -> Tensor:
    """Enlarge an image; the finest scale adds detail again and again (section 4).

    Args:
        model: trained.
        network: the generator or a shadow of it.
        image: 13HW in [-1, 1].
        factor: shares of both sides that are wanted, above 1. It is reached in steps of about the
            pyramid's own factor, to which the finest scale was trained to add detail.
        seed: of the noise.

    Returns:
        13hw in [-1, 1].

    Raises:
        SpecError: the factor is not above 1, or the result too large.
    """
    assert isinstance(network, SinGANMultiScaleGenerator)
    if not (math.isfinite(factor) and factor > 1):
        raise SpecError([f"a factor of {factor:g} enlarges nothing: give a number above 1, as 4"])
    height, width = image.shape[-2:]
    checked_size(round(height * factor), round(width * factor))
    steps = max(1, round(math.log(factor) / -math.log(scale_factor(model))))
    random = generator(seed, "super-resolution noise")
    top, weight = len(model.sizes) - 1, model.noise_weights[-1]
    with evaluating(network):
        for step in range(1, steps + 1):
            size = tuple(round(side * factor ** (step / steps)) for side in (height, width))
            image = network.enlarge(image, size)
            noise = torch.randn(image.shape, generator=random).to(image.device)
            image = network.step(top, image, noise, weight).clamp(-1, 1)
    return image


def animated(
    model: SinGAN,
    network: nn.Module,
    frames: int,
    seed: int,
    start_scale: int = 0,
    alpha: float = 0.1,
    beta: float = 0.9,
) -> Iterator[Tensor]:
    """Yield the frames 13HW of a random walk that begins at the reconstruction (section 4).

    In every scale from ``start_scale`` on, with z_0 = z_rec, z_-1 = z_rec and u of N(0, 1):
    z_t+1 = alpha z_rec + (1 - alpha) (z_t + d_t+1), d_t+1 = beta (z_t - z_t-1) + (1 - beta) u_t.

    Args:
        model: trained.
        network: the generator or a shadow of it.
        frames: how many.
        seed: of the walk.
        start_scale: the first scale that moves; the finer, the calmer.
        alpha: how near the walk stays to the image, in [0, 1].
        beta: how smoothly it moves, in [0, 1].

    Raises:
        SpecError: there are no frames, or not this scale.
    """
    top = len(model.sizes) - 1
    if frames < 1:
        raise SpecError([f"{frames} frames are no animation: give at least 1"])
    if not 0 <= start_scale <= top:
        raise SpecError([f"scale {start_scale} does not exist: give 0 to {top}"])
    fixed = list(model.fixed_noises)
    before, now = fixed, fixed
    for frame in range(frames):
        with evaluating(network):
            yield network(None, now, model.noise_weights, "recon", top).clamp(-1, 1)
        random = generator(seed, "animation", frame)
        step = [torch.randn(noise.shape, generator=random).to(noise.device) for noise in fixed]
        moved = [
            alpha * rest + (1 - alpha) * (z + beta * (z - last) + (1 - beta) * u)
            for rest, z, last, u in zip(fixed, now, before, step, strict=True)
        ]
        before, now = now, [*fixed[:start_scale], *moved[start_scale:]]


def scale_factor(model: SinGAN) -> float:
    """Return r of the model's pyramid, in (0, 1)."""
    sizes = model.sizes
    return (min(sizes[0]) / min(sizes[-1])) ** (1 / max(len(sizes) - 1, 1))


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an image NCHW at another size: bicubic, filtered where it shrinks, in its range."""
    if image.shape[-2:] == size:
        return image
    large = F.interpolate(image, size, mode="bicubic", antialias=True, align_corners=False)
    return large.clamp(-1, 1)
