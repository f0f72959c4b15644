"""Images as files: PNG for what stands still, GIF or MP4 for what moves. CHW uint8 each."""

from collections.abc import Sequence
from importlib.util import find_spec

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor

from harness.errors import SpecError
from harness.visuals.backends import gif
from harness.visuals.grids import grid

FPS = 20.0
_TILE_PX, _FRAME_PX = 64, 128
"""Images below these sizes are enlarged, in grids and in films."""
_GAP_PX = 4


def png(image: Tensor) -> bytes:
    """Return one image CHW, pixel for pixel."""
    content: bytes = iio.imwrite("<bytes>", _pixels(image), plugin="pillow", extension=".png")
    return content


def grid_png(images: Sequence[Tensor] | Tensor, columns: int | None = None) -> bytes:
    """Return images of one size side by side; small ones are enlarged to be seen."""
    tiles = torch.stack(list(images))
    picture = grid(tiles, columns, _TILE_PX, _GAP_PX)
    content: bytes = iio.imwrite("<bytes>", picture, plugin="pillow", extension=".png")
    return content


def movie(frames: Sequence[Tensor], kind: str) -> bytes:
    """Return frames as a ``gif`` or ``mp4`` of 20 frames a second; small ones are enlarged.

    Raises:
        SpecError: if MP4 is asked for and what writes it is not installed.
    """
    pictures = np.stack([grid(frame[None], smallest_px=_FRAME_PX) for frame in frames])
    if kind == "gif":
        return gif(pictures, FPS)
    if find_spec("imageio_ffmpeg") is None:
        raise SpecError(["--video mp4: needs `pip install 'gan-harness[video]'`; or take gif"])
    content: bytes = iio.imwrite(
        "<bytes>", pictures, plugin="FFMPEG", extension=".mp4", fps=FPS, macro_block_size=2
    )
    return content


def _pixels(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.expand(3, -1, -1).permute(1, 2, 0).numpy())
