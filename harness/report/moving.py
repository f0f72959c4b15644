"""Training as a moving picture: raw beside the best shadow, the same latents in every frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.records.film import Images
from harness.report.answer import best_of, main_metric
from harness.report.frames import Cell, Results
from harness.report.reel import Reel, fitting
from harness.report.tiles import LARGEST_BYTES, Cut, enlarged, sheet
from harness.spec.vocabulary import RAW

_WHOLE_MS = 8000
_SHORTEST_MS, _LONGEST_MS, _LAST_MS = 160, 700, 2000
_FPS = 25
_GAP_PX, _EDGE_PX, _LINE_PX, _FONT_PX = 2, 12, 22, 15
_GREY, _DARK = "#D8D8D8", "#332288"


def gif(reel: Reel, arms: Sequence[str]) -> bytes:
    """Return a GIF that repeats, of as many frames and tiles as stay below 450 kB.

    Args:
        reel: a run's frames.
        arms: whose, from left to right.
    """

    def weight(cut: Cut, frames: int) -> float:
        some = _gif(reel, arms, replace(cut, frames=frames))
        return cut.frames / frames * len(some) / LARGEST_BYTES

    return _gif(reel, arms, fitting(reel.whole, weight))


def mp4(reel: Reel, arms: Sequence[str]) -> bytes:
    """Return the same as an MP4, of all frames and tiles."""
    import imageio.v3 as iio

    frames = pictures(reel, arms, reel.whole)
    repeats = [max(1, round(ms * _FPS / 1000)) for ms in _durations(len(frames))]
    _, H, W, _ = frames.shape
    even = frames[:, : H // 2 * 2, : W // 2 * 2]
    content: bytes = iio.imwrite(
        "<bytes>",
        even.repeat(repeats, axis=0),
        plugin="FFMPEG",
        extension=".mp4",
        fps=_FPS,
        macro_block_size=2,
    )
    return content


def require_ffmpeg() -> None:
    """Refuse an MP4 where what writes it is not installed.

    Raises:
        SpecError: saying what to install.
    """
    if find_spec("imageio_ffmpeg") is None:
        raise SpecError(
            ["--video: needs `pip install 'gan-harness[video]'`; training.gif is there without it"]
        )


def side_by_side(results: Results, reel: Reel) -> list[str]:
    """Return raw and the shadow of this run that is best in the main metric, else the first."""
    shadows = [arm for arm in reel.arms if arm != RAW]
    metric = main_metric(results)
    values = {}
    if metric is not None:
        ends = {arm: results.last(Cell(reel.level, arm, metric)) for arm in shadows}
        values = {arm: end.get(reel.seed, math.nan) for arm, end in ends.items()}
    best = best_of(values, metric) if metric and values else None
    return [arm for arm in (RAW, best or next(iter(shadows), None)) if arm in reel.arms]


def pictures(reel: Reel, arms: Sequence[str], cut: Cut) -> Images:
    """Return the frames THW3 of a cut: the arms' grids under their names, over the kimg."""
    columns, _ = cut.grid
    panels = []
    for arm in arms:
        tiles = enlarged(reel.shown(arm, cut))
        panels.append([sheet(frame, columns, _GAP_PX) for frame in tiles])
    kimg = [reel.kimg[at] for at in cut.places(len(reel.kimg))]
    drawn = [_frame(arms, at, kimg) for at in zip(*panels, kimg, strict=True)]
    return np.stack(drawn)


def _frame(arms: Sequence[str], shown: tuple[Any, ...], kimg: Sequence[float]) -> Images:
    from PIL import Image, ImageDraw, ImageFont

    *panels, now = shown
    font = ImageFont.load_default(_FONT_PX)
    height, width = panels[0].shape[:2]
    step = max(width, *(math.ceil(font.getlength(arm)) for arm in arms)) + _EDGE_PX
    said = _said(now, kimg)
    least = math.ceil(font.getlength(_said(kimg[-1], kimg))) + 100
    size = max(len(arms) * step, least) + _EDGE_PX, height + 2 * _LINE_PX + _EDGE_PX
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for number, (arm, panel) in enumerate(zip(arms, panels, strict=True)):
        left = _EDGE_PX + number * step
        draw.text((left, _LINE_PX / 2 + 2), arm, "black", font, anchor="lm")
        picture.paste(Image.fromarray(panel), (left, _LINE_PX + 2))
    middle = size[1] - _LINE_PX / 2 - 3
    draw.text((_EDGE_PX, middle), said, "black", font, anchor="lm")
    begin, end = least - 80, size[0] - _EDGE_PX
    draw.rectangle((begin, middle - 2, end, middle + 2), _GREY)
    draw.rectangle((begin, middle - 2, begin + (end - begin) * now / kimg[-1], middle + 2), _DARK)
    return np.asarray(picture)


def _said(now: float, kimg: Sequence[float]) -> str:
    places = max(len(f"{value:.4g}".partition(".")[2]) for value in kimg)
    return f"{now:.{places}f} kimg"


def _durations(frames: int) -> list[int]:
    """Return how long each frame stands, in ms."""
    each = min(_LONGEST_MS, max(_SHORTEST_MS, _WHOLE_MS // frames))
    return [*[each] * (frames - 1), _LAST_MS]


def _gif(reel: Reel, arms: Sequence[str], cut: Cut) -> bytes:
    import imageio.v3 as iio

    frames = pictures(reel, arms, cut)
    each = _durations(len(frames))
    # A picture that stands still takes one number.
    duration = each if len(each) > 1 else each[0]
    content: bytes = iio.imwrite(
        "<bytes>", frames, plugin="pillow", extension=".gif", duration=duration, loop=0
    )
    return content
