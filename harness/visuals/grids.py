"""Grids of images as one uint8 picture."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def grid(
    images: Tensor, columns: int | None = None, smallest_px: int = 32, gap_px: int = 0
) -> NDArray[np.uint8]:
    """Return images side by side, HWC in RGB.

    Args:
        images: uint8 NCHW, C 1 or 3.
        columns: images in a row; by default the square root of N, rounded up.
        smallest_px: images below this size are enlarged by a whole factor (nearest), to be seen.
        gap_px: white between two images.
    """
    count, channels, height, width = images.shape
    columns = min(columns or int(np.ceil(count**0.5)), count)
    rows = -(-count // columns)
    tiles = images.new_zeros(rows * columns, channels, height, width)
    tiles[:count] = images
    factor = -(-smallest_px // height)
    tiles = tiles.expand(-1, 3, -1, -1).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    tiles = functional.pad(tiles, (0, gap_px, 0, gap_px), value=255)
    height, width = tiles.shape[2:]
    tiles = tiles.reshape(rows, columns, 3, height, width)
    picture = tiles.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3)
    whole: NDArray[np.uint8] = picture.cpu().numpy()
    return whole[: len(whole) - gap_px, : whole.shape[1] - gap_px]
