"""`harness sample`: images, interpolations and mixed styles of a trained generator."""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from harness.drawing.drawers import Drawer, StyleDrawer, drawer
from harness.drawing.files import write_new
from harness.drawing.pictures import grid_png, movie, png
from harness.drawing.subjects import open_subject
from harness.errors import SpecError

_MOST = 10_000
_SEEDS = "0-15"


def sample(options: Namespace) -> int:
    """Draw what a command line asks for, and write it.

    Args:
        options: ``subject``, ``arm``, ``out``, ``seeds``, ``truncation``, ``interpolate``,
            ``frames``, ``space``, ``video``, ``mix_rows``, ``mix_columns`` and ``layers``.

    Raises:
        HarnessError: if the subject cannot be read, or its family cannot draw that.
    """
    seeds, way = _numbers("--seeds", options.seeds), _numbers("--interpolate", options.interpolate)
    mix = _mix(options.mix_rows, options.mix_columns, options.layers)
    if not (seeds or way or mix):
        seeds = _numbers("--seeds", _SEEDS)
    if len(way) == 1 or (way and options.frames < len(way)):
        raise SpecError(
            [f"--interpolate {options.interpolate}: give two seeds or more, and --frames for each"]
        )
    generator, name = open_subject(options.subject, options.arm)
    draw = drawer(generator, options.truncation)
    end = "" if options.truncation == 1 else f"-truncation-{options.truncation:g}"
    files: dict[str, bytes] = {}
    if seeds:
        images = [draw.image(draw.code(seed)) for seed in seeds]
        files |= {f"seed-{n:04}{end}.png": png(im) for n, im in zip(seeds, images, strict=True)}
        files[f"seeds-{options.seeds or _SEEDS}{end}.png"] = grid_png(images)
    if way:
        frames = [draw.image(code) for code in codes_between(draw, way, options)]
        label = f"interpolation-{options.space}-{options.interpolate}-{options.frames}{end}"
        files[f"{label}.{options.video}"] = movie(frames, options.video)
    if mix:
        label = f"mix-{options.mix_rows}-by-{options.mix_columns}-layers-{options.layers}{end}"
        files[f"{label}.png"] = mixing_grid(draw, *mix)
    folder = options.out or Path("drawn") / name
    write_new(folder, files)
    print(f"{folder}: {', '.join(name for name in files if not name.startswith('seed-'))}")
    if seeds:
        print(f"  and {len(seeds)} single images, seed-*{end}.png")
    return 0


def codes_between(draw: Drawer, seeds: Sequence[int], options: Namespace) -> Iterator[object]:
    """Yield ``options.frames`` codes at even steps through ``options.space`` along seeds."""
    legs = list(pairwise(seeds))
    for at in torch.linspace(0, len(legs), options.frames, dtype=torch.float64).tolist():
        leg = min(int(at), len(legs) - 1)
        yield draw.between(*legs[leg], at - leg, options.space)


def mixing_grid(draw: Drawer, rows: Sequence[int], columns: Sequence[int], layers: range) -> bytes:
    """Return the grid of arXiv 1812.04948, figure 3, as a PNG.

    Its first column shows the rows' images and its first row the columns'; an image inside is the
    row's with the column's styles in ``layers``.

    Raises:
        SpecError: if the family has no styles to mix, or no such layers.
    """
    if not isinstance(draw, StyleDrawer):
        raise SpecError([f"--mix-rows: a {draw.generator.family} has no styles to mix"])
    mixed = [[draw.image(draw.mixed(row, column, layers)) for column in columns] for row in rows]
    tops = [draw.image(draw.code(column)) for column in columns]
    lefts = [draw.image(draw.code(row)) for row in rows]
    empty: Tensor = torch.full_like(tops[0], 255)
    tiles = [empty, *tops]
    for left, line in zip(lefts, mixed, strict=True):
        tiles += [left, *line]
    return grid_png(tiles, len(columns) + 1)


def _mix(
    rows: str | None, columns: str | None, layers: str | None
) -> tuple[list[int], list[int], range] | None:
    if rows is columns is layers is None:
        return None
    if rows is None or columns is None or layers is None:
        raise SpecError(["--mix-rows, --mix-columns and --layers are given together or not at all"])
    chosen = _numbers("--layers", layers)
    if chosen != list(range(chosen[0], chosen[-1] + 1)):
        raise SpecError([f"--layers {layers}: give one range, as 0-3"])
    ends = range(chosen[0], chosen[-1] + 1)
    return _numbers("--mix-rows", rows), _numbers("--mix-columns", columns), ends


def _numbers(option: str, text: str | None) -> list[int]:
    """Read ``0-3,7``; nothing from None."""
    numbers: list[int] = []
    for part in [] if text is None else text.split(","):
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first < _MOST:
            raise SpecError(
                [f"{option} {text}: {part!r} is no number and no rising range, as in 0-3,7"]
            )
        numbers += range(first, last + 1)
    if len(numbers) > _MOST:
        raise SpecError([f"{option} {text}: more than {_MOST} at once"])
    return numbers
