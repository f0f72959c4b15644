"""The frames that a run has kept, made of one size, and as many of them as stay small files.

Shape letters: T frames, N images of an arm in each, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import RecordsError
from harness.plan.film import WIDEST_PX
from harness.records import film as records
from harness.records import samples
from harness.records.film import Images
from harness.report.film import MOST_BYTES, Film
from harness.report.frames import REAL, Results
from harness.report.tiles import (
    LARGEST_BYTES,
    WIDEST_TILE_PX,
    Cut,
    first_run,
    nearest,
    png,
    rgb,
    sheet,
    squared,
)

_MOST_FRAMES = 40


@dataclass(frozen=True)
class Reel:
    """Samples of one run over training.

    Args:
        level: of the run.
        seed: of the run.
        kimg: of each frame.
        arms: TNHW3 by arm, each frame at the final size (its pixels repeated), at most 128 px.
        real: NHW3, of the same size.
    """

    level: str
    seed: int
    kimg: tuple[float, ...]
    arms: Mapping[str, Images]
    real: Images

    @property
    def whole(self) -> Cut:
        """All there is to show."""
        T, N, H, W, _ = next(iter(self.arms.values())).shape
        return Cut(T, N, max(H, W))

    def shown(self, arm: str, cut: Cut) -> Images:
        """Return what a cut leaves of an arm: TNHW3."""
        columns, rows = cut.grid
        frames = self.arms[arm][cut.places(len(self.kimg)), : columns * rows]
        return records.reduced(frames, cut.tile_px)


def reel(results: Results, runs_dir: Path) -> Reel | None:
    """Read the frames of the first finished run that has kept some.

    Raises:
        RecordsError: if they are torn, or not of one run.
    """
    run = first_run(results, runs_dir, "samples/film-*.npz")
    if run is None:
        return None
    paths = records.find(run.folder)
    paths = [paths[at] for at in Cut(min(_MOST_FRAMES, len(paths)), 1, 1).places(len(paths))]
    real = _real(run.folder)
    frames = [records.read_frame(path) for path in paths]
    arms = [arm.name for arm in results.plan.arms if arm.name in frames[0].arms]
    shapes = {(len(array), array.shape[-1]) for frame in frames for array in frame.arms.values()}
    if not arms or len(shapes) != 1 or any(set(f.arms) != set(frames[0].arms) for f in frames):
        raise RecordsError(f"{run.folder / 'samples'}: its film-*.npz are not of one run")
    sized = {arm: np.stack([_sized(frame.arms[arm], real) for frame in frames]) for arm in arms}
    kimg = tuple(frame.kimg for frame in frames)
    return Reel(run.level, run.seed, kimg, sized, _sized(real, real))


def _real(run_folder: Path) -> Images:
    held = samples.read(run_folder)
    if REAL not in held or not records.are_images(held[REAL]):
        raise RecordsError(f"{run_folder / samples.FILE}: holds no real images uint8 NHWC")
    return records.reduced(held[REAL], WIDEST_PX)


def _sized(images: Images, final: Images) -> Images:
    return rgb(records.reduced(nearest(images, *final.shape[1:3]), WIDEST_TILE_PX))


def filmed(reel: Reel) -> Film:
    """Return as much of a reel as a results folder may hold, every arm cut alike."""

    def weight(cut: Cut, frames: int) -> float:
        one = Cut(frames, cut.tiles, cut.tile_px)
        return cut.frames / frames * _weight(_pictures(reel, one))

    return _film(reel, fitting(reel.whole, weight))


def fitting(cut: Cut, weight: Callable[[Cut, int], float]) -> Cut:
    """Return the largest cut that is light enough.

    Args:
        cut: all there is.
        weight: of a cut, as a multiple of what is allowed; told from so many of its frames.
    """
    for frames in (1, 0):  # all of them take a second; one tells nearly as much
        while (over := weight(cut, frames or cut.frames)) > 1:
            smaller = cut.smaller(over)
            if smaller is None:
                break
            cut = smaller
    return cut


def _weight(pictures: Mapping[str, bytes]) -> float:
    sizes = [len(content) for content in pictures.values()]
    return max(max(sizes) / LARGEST_BYTES, sum(sizes) / (MOST_BYTES - 2**14))


def _film(reel: Reel, cut: Cut) -> Film:
    columns, rows = cut.grid
    pictures = _pictures(reel, cut)
    kimg = tuple(reel.kimg[at] for at in cut.places(len(reel.kimg)))
    return Film(reel.level, reel.seed, tuple(reel.arms), kimg, columns, rows, cut.tile_px, pictures)


def _pictures(reel: Reel, cut: Cut) -> dict[str, bytes]:
    columns, rows = cut.grid
    drawn = {}
    for arm in reel.arms:
        tiles = reel.shown(arm, cut)
        drawn[arm] = png(sheet(squared(tiles.reshape(-1, *tiles.shape[2:])), columns))
    real = squared(records.reduced(reel.real[: columns * rows], cut.tile_px))
    return drawn | {REAL: png(sheet(real, min(columns, len(real))))}
