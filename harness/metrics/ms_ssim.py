"""Multi-scale structural similarity, the measure of variety in the PGGAN paper.

Wang et al. 2003, "Multi-scale structural similarity for image quality assessment", with the
settings of its section 3; PGGAN (Karras et al. 2018, section 5) averages it over pairs of
generated images, where a *lower* mean stands for more variety.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import DataError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first; their sum is 1."""

_WINDOW_PX = 11
_SIGMA_PX = 1.5
FORM = (
    f"scales weighted {', '.join(map(str, WEIGHTS))}, window {_WINDOW_PX} px, sigma {_SIGMA_PX} "
    "px; mean over consecutive pairs of images, float64"
)
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the similarity of each pair of images, N float64 in [0, 1]; 1 for equal images.

    Any size works. Where a scale is smaller than the 11x11 window, the window and its sigma
    shrink to the shorter side in proportion; an odd side is halved upwards, its last pixels
    averaged over those that exist.

    Args:
        first: NCHW uint8 in 0..255.
        second: likewise, of the same shape.

    Raises:
        DataError: shapes differ.
    """
    if first.shape != second.shape:
        raise DataError(
            f"ms_ssim compares images of one shape, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}: resize one of them"
        )
    x, y = first.double(), second.double()
    result = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        luminance, contrast = _luminance_and_contrast(x, y)
        # The means may be negative for opposed images, where a root has no meaning.
        term = (luminance * contrast if last else contrast).mean(dim=(1, 2, 3))
        result *= term.clamp_min(0) ** weight
        x, y = (_halve(images) for images in (x, y))
    return result


def consecutive_pairs(images: Tensor) -> tuple[Tensor, Tensor]:
    """Split NCHW images into pairs (0, 1), (2, 3), ...; the last of an odd number is left out."""
    even = images[: len(images) // 2 * 2]
    return even[0::2], even[1::2]


def _luminance_and_contrast(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Wang et al. 2003, equations 1 to 3 with C3 = C2 / 2, at every place of the window."""
    n = len(x)
    moments = _blur(torch.cat([x, y, x * x, y * y, x * y])).unflatten(0, (5, n))
    mean_x, mean_y, xx, yy, xy = moments
    squares = mean_x.square() + mean_y.square()
    product = mean_x * mean_y
    luminance = (2 * product + _C1) / (squares + _C1)
    contrast = (2 * (xy - product) + _C2) / (xx + yy - squares + _C2)
    return luminance, contrast


def _blur(images: Tensor) -> Tensor:
    """Filter with the Gaussian window where it fits wholly into the image."""
    N, C, H, W = images.shape
    side = min(_WINDOW_PX, H, W)
    taps = torch.arange(side, dtype=images.dtype, device=images.device) - (side - 1) / 2
    window = torch.exp(-0.5 * (taps / (_SIGMA_PX * side / _WINDOW_PX)).square())
    window = window / window.sum()
    flat = images.reshape(N * C, 1, H, W)
    blurred = F.conv2d(F.conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return blurred.view(N, C, *blurred.shape[-2:])


def _halve(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 2, ceil_mode=True)
