"""Diversity of one generator's samples (arXiv 1905.01164, section 3).

The standard deviation of each pixel's intensity over samples, averaged over pixels, as a share of
the standard deviation of the real image's intensities. 0: every sample is the same; about 1: a
pixel varies between samples as pixels do within the image.

Shape letters: N samples, H W pixels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.errors import DataError
from harness.metrics.extractor import require_rgb

_LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in the intensity (ITU-R BT.601)."""
FORM = (
    f"mean over pixels of the s.d. of samples' intensities ({_LUMA} / 1000 of R, G and B, n - 1), "
    "over the s.d. of the real image's"
)
_MOST = 10_000
"""More samples could overflow 64 bits."""


class Sums(NamedTuple):
    """Of samples' intensities, int64 in thousandths of a level."""

    samples: int
    intensities: Tensor
    """HW."""
    squares: Tensor
    """HW."""


class Diversity:
    """Takes samples in any division into batches; whole numbers inside, so nothing is rounded.

    Args:
        real: the real image, uint8 (1, 3, H, W).

    Raises:
        DataError: it is of another shape or type, or all of one intensity.
    """

    def __init__(self, real: Tensor) -> None:
        require_rgb(real)
        intensities = _intensities(real)
        self._scale = float(intensities.double().std(correction=0))
        if self._scale == 0:
            raise DataError("diversity: the real image has one intensity only; take another image")
        nothing = torch.zeros_like(intensities[0])
        self.sums = Sums(0, nothing, nothing)

    def update(self, images: Tensor) -> None:
        """Add samples, uint8 N3HW of the real image's size.

        Raises:
            DataError: they are of another shape or type, or too many.
        """
        require_rgb(images)
        if images.shape[2:] != self.sums.intensities.shape:
            found, size = tuple(images.shape[2:]), tuple(self.sums.intensities.shape)
            raise DataError(f"diversity: samples of {found} px for a real image of {size} px")
        intensities = _intensities(images)
        self.add(Sums(len(images), intensities.sum(0), intensities.square().sum(0)))

    def add(self, sums: Sums) -> None:
        """Add what another has taken, which may have been on another device.

        Raises:
            DataError: they are too many.
        """
        count = self.sums.samples + sums.samples
        if count > _MOST:
            raise DataError(f"diversity: more than {_MOST} samples; draw fewer")
        ours, device = self.sums, self.sums.squares.device
        self.sums = Sums(
            count,
            ours.intensities + sums.intensities.to(device),
            ours.squares + sums.squares.to(device),
        )

    def compute(self) -> float:
        """Return the diversity, >= 0; the variance of a pixel is the unbiased one.

        Raises:
            DataError: fewer than 2 samples were given.
        """
        count, total, squares = self.sums
        if count < 2:
            raise DataError(f"diversity compares at least 2 samples, {count} given: draw more")
        scaled = count * squares - total.square()
        deviations = scaled.double().sqrt() / math.sqrt(count * (count - 1))
        return float(deviations.mean()) / self._scale


def _intensities(images: Tensor) -> Tensor:
    """Return the intensities NHW of uint8 images N3HW in thousandths of a level, int64."""
    red, green, blue = (images[:, i].long() * share for i, share in enumerate(_LUMA))
    return red + green + blue
