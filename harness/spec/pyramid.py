"""SinGAN's pyramid: the sizes of one image (arXiv 1905.01164), from its size alone."""

import math
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, SpecError


@dataclass(frozen=True)
class Pyramid:
    """Sizes of one image, coarsest first; the last is the image's own.

    Args:
        sizes: H and W in px of each scale.
        scale_factor: r of the paper, in (0, 1): each size is the next one times r, rounded.
    """

    sizes: tuple[tuple[int, int], ...]
    scale_factor: float

    @classmethod
    def of(
        cls, height: int, width: int, min_size: int, max_size: int, scale_factor_init: float
    ) -> "Pyramid":
        """Choose sizes as SinGAN's authors do.

        Args:
            height: H of the image in px.
            width: W of the image in px.
            min_size: about the shorter side of the coarsest scale, in px.
            max_size: a longer side above it takes scales off the pyramid. The finest scale stays
                as large as the image, as MMagic has it.
            scale_factor_init: r that is aimed at; the real one makes the number of scales whole.

        Raises:
            SpecError: if the numbers leave no pyramid.
        """
        if not 0 < scale_factor_init < 1:
            raise SpecError([f"scale_factor_init: {scale_factor_init} is not in (0, 1)"])
        shorter, longer = min(height, width), max(height, width)
        if not 0 < min_size < min(shorter, max_size):
            raise SpecError(
                [
                    f"min_size: {min_size} is not in (0, {min(shorter, max_size)}), for an image "
                    f"of {width} x {height} px and max_size {max_size}"
                ]
            )
        step = math.log(scale_factor_init)
        shrink = min(max_size / longer, 1.0)
        last = math.ceil(math.log(min_size / shorter) / step) + 1
        last -= math.ceil(math.log(shrink) / step)
        if last < 1:
            raise SpecError([f"max_size: {max_size} leaves one scale; raise it or lower min_size"])
        factor = (min_size / min(_scaled(height, width, shrink))) ** (1 / last)
        powers = (factor ** (last - scale) for scale in range(last + 1))
        return cls(tuple(_scaled(height, width, power) for power in powers), factor)


def shrunk(height: int, width: int, max_size: int) -> tuple[int, int]:
    """Return H and W of an image brought down to ``max_size`` px of the longer side."""
    return _scaled(height, width, min(max_size / max(height, width), 1.0))


def image_size(path: str) -> tuple[int, int]:
    """Return H and W in px of an image, from its header.

    Raises:
        DataError: it is missing, or no image.
    """
    from PIL import Image, UnidentifiedImageError  # costs a start-up of other models' plans

    try:
        with Image.open(Path(path)) as image:
            return image.height, image.width
    except UnidentifiedImageError:
        raise DataError(f"{path}: is not an image that can be read; name one image") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name one image") from None


def _scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    return int(height * factor + 0.5), int(width * factor + 0.5)
