"""The sizes of SinGAN's pyramid (Rott Shaham, Dekel and Michaeli, arXiv 1905.01164): numbers only.

Shape letters: H W pixels, S scales.
"""

import math
from dataclasses import dataclass

from harness.errors import SpecError


@dataclass(frozen=True)
class Pyramid:
    """Sizes of one image, coarsest first.

    Args:
        sizes: H and W in px of each scale.
        scale_factor: r of the paper, in (0, 1): each size is the next one times r, rounded.
    """

    sizes: tuple[tuple[int, int], ...]
    scale_factor: float

    @classmethod
    def of(
        cls,
        height: int,
        width: int,
        min_size: int,
        max_size: int,
        scale_factor_init: float,
        shrink: bool = False,
    ) -> "Pyramid":
        """Choose sizes as SinGAN's authors do.

        Args:
            height: H of the image in px.
            width: W of the image in px.
            min_size: the shorter side of the coarsest scale, in px; only about that where the
                image is larger than ``max_size`` and does not shrink.
            max_size: a longer side above it takes scales off the pyramid, in px.
            scale_factor_init: r that is aimed at; the real one makes the number of scales whole.
            shrink: make an image above ``max_size`` that large first, as the authors do. Else the
                finest scale stays as large as the image, as MMagic has it.

        Raises:
            SpecError: if the numbers leave no pyramid.
        """
        if not 0 < scale_factor_init < 1:
            raise SpecError([f"scale_factor_init: {scale_factor_init} is not in (0, 1)"])
        share = min(max_size / max(height, width), 1.0)
        shrunk = _scaled(height, width, share)
        if not 0 < min_size < min(shrunk):
            raise SpecError(
                [
                    f"min_size: {min_size} is not in (0, {min(shrunk)}), for an image "
                    f"of {width} x {height} px and max_size {max_size}; "
                    "take a larger image, or lower min_size"
                ]
            )
        step = math.log(scale_factor_init)
        last = math.ceil(math.log(min_size / min(height, width)) / step) + 1
        last -= math.ceil(math.log(share) / step)
        if last < 1:
            raise SpecError([f"max_size: {max_size} leaves one scale; raise it or lower min_size"])
        if last >= max(shrunk):
            text = f"{scale_factor_init} makes {last + 1} scales of at most {max(shrunk)} px"
            raise SpecError([f"scale_factor_init: {text}; lower it"])
        factor = (min_size / min(shrunk)) ** (1 / last)
        finest = shrunk if shrink else (height, width)
        powers = (factor ** (last - scale) for scale in range(last + 1))
        pyramid = cls(tuple(_scaled(*finest, power) for power in powers), factor)
        if len(set(pyramid.scales)) <= last:
            raise SpecError(
                [
                    f"scale_factor_init: {scale_factor_init} makes {last + 1} scales of "
                    f"{min(pyramid.scales)} to {max(pyramid.scales)} px, some of one size; lower it"
                ]
            )
        return pyramid

    @property
    def scales(self) -> tuple[int, ...]:
        """The longer side of each scale in px, by which a schedule calls it; rising."""
        return tuple(map(max, self.sizes))


def _scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    return int(height * factor + 0.5), int(width * factor + 0.5)
