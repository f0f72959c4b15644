"""Drawing from SinGAN: from any scale on, at any size, from noise or from a given image.

Shape letters: N images, H W pixels, S scales.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.singan import SinGANMultiScaleGenerator
from harness.records.protocols import Facts
from harness.seeding import generator as stream

Size = tuple[int, int]


@dataclass(frozen=True)
class Drawing:
    """What is drawn (arXiv 1905.01164, sections 2.2 and 4).

    Args:
        mode: ``rand``, or ``recon`` for the reconstruction of the real image, N times.
        start_scale: the first scale with random noise; coarser ones give the reconstruction.
        size: H and W in px of the images; by default the real image's.
        scale_factor: instead of ``size``: H and W as shares of the real image's; one number for
            both.
        image: N3HW or 13HW in [-1, 1], of any size, instead of what the scales below
            ``start_scale`` give: it is shrunk to the last of them, which takes its finer detail.
    """

    mode: str = "rand"
    start_scale: int = 0
    size: Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    image: Tensor | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Drawing":
        """Read settings by their names.

        Raises:
            SpecError: there are others, or they do not go together.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise SpecError([f"sample_kwargs: {unknown[0]} is not one of {', '.join(known)}"])
        drawing = cls(**settings)
        problems = [*drawing._problems()]
        if problems:
            raise SpecError([f"sample_kwargs: {problem}" for problem in problems])
        return drawing

    def _problems(self) -> list[str]:
        found = []
        if self.mode not in ("rand", "recon"):
            found.append(f"mode is {self.mode!r}: give 'rand' or 'recon'")
        if self.mode == "recon" and self != Drawing("recon"):
            found.append("mode is 'recon', which takes nothing else: give 'rand'")
        if self.size is not None and self.scale_factor is not None:
            found.append("size and scale_factor are both given: give one of them")
        if self.image is not None and self.start_scale < 1:
            found.append(f"start_scale is {self.start_scale}: an image needs 1 or more")
        return found

    def target(self, sizes: Sequence[Size]) -> list[Size]:
        """Return the size of every scale: the real image's, stretched alike."""
        height, width = sizes[-1]
        if self.size is not None:
            up, across = (wanted / real for wanted, real in zip(self.size, sizes[-1], strict=True))
        elif isinstance(self.scale_factor, Sequence):
            up, across = self.scale_factor
        else:
            up = across = 1.0 if self.scale_factor is None else self.scale_factor
        if not up > 0 or not across > 0:
            raise SpecError([f"sample_kwargs: {height * up:g} x {width * across:g} px is no size"])
        return [(max(1, round(h * up)), max(1, round(w * across))) for h, w in sizes]


LAW: Facts = MappingProxyType(
    {
        "latents": "a seed of 62 bits an image, uniform",
        "noise_maps": "standard normal, each of a stream of the image's seed and the scale",
    }
)
"""What images are drawn from, ``noise_maps`` being one of the two, for protocols."""


def noise_maps(seeds: Tensor, sizes: Sequence[Size], channels: int) -> list[Tensor]:
    """Return a noise map for each scale: N1HW at the coarsest, else NCHW, standard normal.

    Each is a function of one image's seed and the scale alone: the same in any batch and on any
    device.

    Args:
        seeds: int64 (N,).
        sizes: H and W in px of each scale.
        channels: C, an image's.
    """
    maps = []
    for scale, size in enumerate(sizes):
        shape = (channels if scale else 1, *size)
        streams = [stream(seed, "noise map", scale) for seed in seeds.tolist()]
        noise = torch.stack([torch.randn(shape, generator=random) for random in streams])
        maps.append(noise.to(seeds.device))
    return maps


def drawn(
    network: SinGANMultiScaleGenerator,
    seeds: Tensor,
    fixed_noises: Sequence[Tensor],
    noise_weights: Sequence[float],
    drawing: Drawing,
) -> Tensor:
    """Return images N3HW of the finest scale that there are noises for, not clamped.

    Args:
        network: in evaluation mode.
        seeds: int64 (N,), one for each image.
        fixed_noises: z* of every scale, for the reconstruction; they give the scales' sizes.
        noise_weights: sigma of every scale.
        drawing: what to draw.

    Raises:
        SpecError: the drawing is not possible at these scales.
        DataError: there is no scale.
    """
    top = len(fixed_noises) - 1
    if top < 0:
        raise DataError("SinGAN: no scale has begun training: train, or load a checkpoint")
    start = drawing.start_scale
    if not 0 <= start <= top:
        raise SpecError([f"sample_kwargs: start_scale is {start}: give 0 to {top}"])
    sizes = [(noise.shape[-2], noise.shape[-1]) for noise in fixed_noises]

    def reconstruction(scale: int) -> Tensor:
        image = network(None, fixed_noises, noise_weights, "recon", scale)
        assert isinstance(image, Tensor)
        return image.expand(len(seeds), -1, -1, -1)

    if drawing.mode == "recon":
        return reconstruction(top)
    target = drawing.target(sizes)
    below = None
    if drawing.image is not None:
        below = _shrunk(drawing.image, sizes[start - 1]).expand(len(seeds), -1, -1, -1)
    elif start:
        below = reconstruction(start - 1)
    if below is not None:
        below = network.enlarge(below, target[start])
    noises = noise_maps(seeds, target, network.in_channels)
    images = network(below, noises, noise_weights, "recon", top, start_scale=start)
    assert isinstance(images, Tensor)
    return images


def _shrunk(image: Tensor, size: Size) -> Tensor:
    """Return an image at a coarser scale's size, filtered: detail must not alias into it."""
    return functional.interpolate(image, size, mode="bicubic", antialias=True, align_corners=False)
