"""Samples beside the real images nearest to them: is it a copy?"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from harness.records import film
from harness.records.film import Neighbours
from harness.report.frames import Results
from harness.report.tiles import LARGEST_BYTES, WIDEST_TILE_PX, enlarged, first_run, png, rgb

_TILE_PX = 72
_GAP_PX, _EDGE_PX, _GROUP_PX, _LINE_PX, _HEAD_PX = 4, 10, 28, 20, 28
_FONT_PX = 14
_ACROSS = 2
"""Samples side by side."""


def picture(results: Results, runs_dir: Path) -> bytes | None:
    """Draw the neighbours that the first finished run has kept; None where none has.

    Each sample stands left of its nearest real images. Below each of these stands its distance,
    over the median distance of the real images to the nearest other one.

    Raises:
        RecordsError: if they are torn.
    """
    run = first_run(results, runs_dir, film.NEIGHBOURS)
    return None if run is None else _fitting(film.read_neighbours(run.folder))


def ratio(distance: float, median: float) -> str:
    """Return a distance over the real images' own, as it is shown; bare where theirs is 0."""
    return f"{distance / median:.2f}x" if median > 0 else f"{distance:.3g}"


def _fitting(found: Neighbours) -> bytes:
    """Return the PNG, of smaller images where that keeps it a small file."""
    px = WIDEST_TILE_PX
    content = _drawn(found, px)
    while len(content) > LARGEST_BYTES and px > 1:
        px //= 2
        content = _drawn(found, px)
    return content


def _drawn(found: Neighbours, px: int) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_PX)
    both = np.concatenate([found.samples[:, None], found.images], axis=1)
    tiles = rgb(enlarged(film.reduced(both, px), _TILE_PX))
    N, across, H, W, _ = tiles.shape
    step, row = W + _GAP_PX, H + _LINE_PX + _EDGE_PX
    group = across * step + _GAP_PX
    head = (
        f"{found.arm}: a sample, then the real images nearest to it; below, distance over the "
        f"real images' own ({found.extractor})"
    )
    width = max(_ACROSS * (group + _GROUP_PX) - _GROUP_PX, math.ceil(font.getlength(head)))
    size = width + 2 * _EDGE_PX, _EDGE_PX + _HEAD_PX + -(-N // _ACROSS) * row
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    draw.text((_EDGE_PX, _EDGE_PX), head, "black", font)
    for number, place in np.ndindex(N, across):
        left = _EDGE_PX + number % _ACROSS * (group + _GROUP_PX) + place * step
        left += 2 * _GAP_PX if place else 0  # what was drawn stands apart from what is real
        top = _EDGE_PX + _HEAD_PX + number // _ACROSS * row
        picture.paste(Image.fromarray(tiles[number, place]), (left, top))
        if place:
            said = ratio(found.distances[number, place - 1], found.real_median)
            draw.text((left + W / 2, top + H + 3), said, "black", font, anchor="mt")
    return png(np.asarray(picture))
