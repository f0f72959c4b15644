"""Images put side by side, and how few and small they have to become to be a small file.

Images are uint8. Shape letters: N images, H W pixels, C channels.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.records.film import Images
from harness.records.types import Status
from harness.report.frames import Results

LARGEST_BYTES = 450_000
"""Of one file with pictures."""
TILE_PX = 48
"""Smaller images are enlarged by the whole factor that first reaches this size."""
WIDEST_TILE_PX = 128
_LEAST = (
    *(("frames", 8), ("tiles", 4), ("tile_px", 32)),
    *(("frames", 2), ("tiles", 1), ("tile_px", 1), ("frames", 1)),
)
"""What is made smaller, down to what, in this order."""


class Shown(NamedTuple):
    """A run whose pictures stand for the others'."""

    level: str
    seed: int
    folder: Path


def first_run(results: Results, runs_dir: Path, pattern: str) -> Shown | None:
    """Return the first finished run whose folder holds a file named so; None without one."""
    columns = (results.outcomes[name] for name in ("run", "level", "seed", "status"))
    for run, level, seed, status in zip(*columns, strict=True):
        # Paths as text: where no run has kept any, all of thousands are looked at.
        if status == Status.FINISHED and os.path.isdir(os.path.join(runs_dir, run, "samples")):
            folder = runs_dir / run
            if any(folder.glob(pattern)):
                return Shown(level, seed, folder)
    return None


@dataclass(frozen=True)
class Cut:
    """How much of a film is shown: frames, images of an arm in each, and their longer side."""

    frames: int
    tiles: int
    tile_px: int

    def smaller(self, over: float) -> Cut | None:
        """Return a cut of about the ``over``-th part; None where nothing is left to leave out.

        Frames go first, down to 8, then tiles, down to 4, then size, down to 32 px, then the rest.
        """
        for name, least in _LEAST:
            now: int = getattr(self, name)
            if now > least:
                wanted = -(-now // 2) if name == "tile_px" else min(now - 1, int(now / over))
                return replace(self, **{name: max(least, wanted)})
        return None

    def places(self, count: int) -> list[int]:
        """Return which of ``count`` frames are shown: the last, the first, and evenly between."""
        return [round(at) for at in np.linspace(count - 1, 0, self.frames)][::-1]

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of a frame; as many whole rows as there are tiles for."""
        columns = math.isqrt(self.tiles - 1) + 1
        return columns, self.tiles // columns


def nearest(images: Images, height: int, width: int) -> Images:
    """Return images ...HWC at another size, each pixel that of the old ones under its centre."""
    H, W = images.shape[-3:-1]
    down = ((np.arange(height) + 0.5) * H / height).astype(int)
    across = ((np.arange(width) + 0.5) * W / width).astype(int)
    return images[..., down[:, None], across, :]


def enlarged(images: Images, least_px: int = TILE_PX) -> Images:
    """Repeat the pixels of ...HWC by the whole factor that first gives a side ``least_px``."""
    H, W = images.shape[-3:-1]
    factor = max(-(-least_px // max(H, W)), 1)
    return nearest(images, H * factor, W * factor)


def sheet(tiles: Images, columns: int, gap: int = 0) -> Images:
    """Put NHWC side by side in whole rows, ``gap`` white pixels between them."""
    N, H, W, C = tiles.shape
    rows = N // columns
    wide = np.full((rows, columns, H + gap, W + gap, C), 255, np.uint8)
    wide[:, :, :H, :W] = tiles[: rows * columns].reshape(rows, columns, H, W, C)
    whole = wide.swapaxes(1, 2).reshape(rows * (H + gap), columns * (W + gap), C)
    return whole[: rows * (H + gap) - gap, : columns * (W + gap) - gap]


def squared(tiles: Images) -> Images:
    """Return N,H,W,3 as squares: the shorter side is filled up with what is seen through."""
    N, H, W, _ = tiles.shape
    if H == W:
        return tiles
    side = max(H, W)
    top, left = (side - H) // 2, (side - W) // 2
    square = np.zeros((N, side, side, 4), np.uint8)
    square[:, top : top + H, left : left + W] = np.insert(tiles, 3, 255, axis=-1)
    return square


def rgb(images: Images) -> Images:
    """Return images ...HWC of 1 or 3 channels with 3."""
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def png(picture: Images) -> bytes:
    """Return HWC, in RGB or with an alpha, as an optimised PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", optimize=True)
    return file.getvalue()
