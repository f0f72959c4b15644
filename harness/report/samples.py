"""Pictures side by side: real images, then the same latents for raw and every shadow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.errors import RecordsError
from harness.records import samples
from harness.records.film import reduced
from harness.report.frames import REAL, Results
from harness.report.tiles import LARGEST_BYTES, WIDEST_TILE_PX, enlarged, first_run, png, rgb

_GAP_PX = 8
_FONT_PX = 14


def grid(results: Results, runs_dir: Path) -> bytes | None:
    """Draw the samples of the first finished run that has kept some, a labelled row an arm.

    Args:
        results: whose arms and runs are meant.
        runs_dir: holds ``<run>/samples/final.npz``: uint8 arrays NHWC named ``real`` and by arm,
            the same latents in each.

    Raises:
        RecordsError: if the samples are torn or of another shape.
    """
    run = first_run(results, runs_dir, samples.FILE)
    if run is None:
        return None
    return _fitting({name: _tiles(a) for name, a in _rows(results, run.folder).items()})


def _rows(results: Results, folder: Path) -> dict[str, np.ndarray]:
    held = samples.read(folder)
    order = [REAL, *(arm.name for arm in results.plan.arms)]
    rows = {name: held[name] for name in order if name in held}
    # A model of one image has one real image, beside as many samples as any other.
    counts = {len(array) for name, array in rows.items() if name != REAL}
    shapes = {array.shape[1:] for array in rows.values()}
    fine = all(a.dtype == np.uint8 and a.ndim == 4 and len(a) for a in rows.values())
    if not fine or len(shapes) != 1 or len(counts) > 1 or next(iter(shapes))[2] not in {1, 3}:
        path = folder / samples.FILE
        raise RecordsError(f"{path}: needs uint8 arrays of one shape NHWC with 1 or 3 channels")
    return rows


def _tiles(images: np.ndarray) -> np.ndarray:
    """Enlarge or reduce N,H,W,C by a whole factor and make it RGB."""
    return rgb(enlarged(reduced(images, WIDEST_TILE_PX)))


def _fitting(rows: dict[str, np.ndarray]) -> bytes:
    """Return the PNG with as many columns as stay a small file."""
    columns = max(map(len, rows.values()))
    content = _drawn(rows, columns)
    while len(content) > LARGEST_BYTES and columns > 1:
        columns = max(1, min(columns - 1, int(columns * LARGEST_BYTES / len(content))))
        content = _drawn(rows, columns)
    return content


def _drawn(rows: dict[str, np.ndarray], columns: int) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_PX)
    many = "real images" if len(rows.get(REAL, ())) != 1 else "real image"
    labels = {name: many if name == REAL else name for name in rows}
    left = max(int(font.getlength(label)) for label in labels.values()) + 12
    _, H, W, _ = next(iter(rows.values())).shape
    step, width = H + _GAP_PX, columns * (W + _GAP_PX)
    picture = Image.new("RGB", (left + width, len(rows) * step + _GAP_PX), "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, tiles) in enumerate(rows.items()):
        top = index * step + _GAP_PX
        draw.text((left - 8, top + H / 2), labels[name], "black", font, anchor="rm")
        for column, tile in enumerate(tiles[:columns]):
            picture.paste(Image.fromarray(tile), (left + column * (W + _GAP_PX), top))
    return png(np.asarray(picture))
