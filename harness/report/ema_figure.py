"""The main metric over the half-life of each EMA shadow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.report.answer import main_metric, shown_levels, title
from harness.report.canvas import GREY, Look, figure, legend, look, plain_log, png, scale_y
from harness.report.frames import Cell, Results
from harness.report.series import (
    FLOOR,
    Shadow,
    floor_value,
    is_far,
    last_of,
    shadows,
    side_by_side,
)
from harness.report.statistics import Spread
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 0.22
"""Relative width of the panel for averages without a fixed half-life."""


def ema(results: Results) -> bytes | None:
    """Draw every shadow's last value, raw's range and the floor; None without a half-life."""
    metric = main_metric(results) or ""
    points = {level: shadows(results, level, metric) for level in shown_levels(results)}
    levels = [level for level in points if points[level]]
    if not any(s.arm.half_life_kimg for level in levels for s in points[level]):
        return None
    values = [v for level in levels for v in _values(results, level, metric, points[level])]
    far = _far_floor(results, metric, values)
    side = any(s.arm.half_life_kimg is None for level in levels for s in points[level])
    # A floor far below gets a strip of its own, so that the shadows keep their differences.
    drawing, grid = figure(
        [1.0, _SIDE] * len(levels) if side else [1.0] * len(levels), (8, 1) if far else (1,)
    )
    step = 2 if side else 1
    for level, column in zip(levels, range(0, step * len(levels), step), strict=True):
        panels = [row[column : column + step] for row in grid]
        _level(panels, results, level, metric, points[level])
        if len(results.plan.levels) > 1:
            panels[0][0].set_title(level, fontsize=9.5)
    if far is not None:
        reach = max(max(values) - min(values), abs(far) / 10) / 16
        grid[1][0].set_ylim(far - reach, far + reach)
        grid[1][0].set_yticks([far], [f"{far:.3g}"])
    scale_y(grid[0][0], values)
    grid[0][0].set_ylabel(title(metric))
    legend(drawing, [*(arm.name for arm in results.plan.arms), FLOOR])
    return png(drawing)


def floor(axes: Axes, results: Results, metric: str, level: str | None = None) -> None:
    """Draw the metric of the real images as a line, where it was measured."""
    value = floor_value(results, metric, level)
    if value is not None:
        axes.axhline(value, color=GREY, linestyle=":", lw=1.4, label=FLOOR)


def _values(results: Results, level: str, metric: str, points: list[Shadow]) -> list[float]:
    raw = [v for v in results.last(Cell(level, RAW, metric)).values() if math.isfinite(v)]
    return raw + [v for s in points for v in (s.last.low, s.last.high)]


def _far_floor(results: Results, metric: str, values: list[float]) -> float | None:
    value = floor_value(results, metric)
    return value if value is not None and is_far(value, values) else None


def _level(
    panels: list[list[Axes]], results: Results, level: str, metric: str, points: list[Shadow]
) -> None:
    """Draw one level; ``panels`` are rows (values, floor) of columns (half-lives, others)."""
    if s := last_of(results, Cell(level, RAW, metric)):
        for axes in panels[0]:
            axes.axhspan(s.low, s.high, color="black", alpha=0.07, lw=0)
            axes.axhline(s.median, color="black", lw=1.4, label=RAW)
    for axes in panels[-1]:
        floor(axes, results, metric, level)
    _half_lives(panels[0][0], points)
    panels[-1][0].set_xlabel("EMA half-life (kimg)")
    others = [point for point in points if point.arm.half_life_kimg is None]
    for x, (place, arm, last) in enumerate(others):
        _point(panels[0][1], float(x), last, look(place), arm.name)
    if len(panels[0]) > 1:
        panels[0][1].set_xlim(-0.7, max(len(others), 1) - 0.3)
        panels[0][1].set_xticks([])
        panels[-1][1].set_xlabel("no fixed\nhalf-life")


def _half_lives(axes: Axes, points: list[Shadow]) -> None:
    alike: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for x, (place, arm, last) in side_by_side(points):
        _point(axes, x, last, look(place), arm.name)
        alike.setdefault((arm.interp_mode, arm.interval, arm.start_iter), []).append(
            (x, last.median)
        )
    for path in alike.values():
        xs, ys = zip(*sorted(path), strict=True)
        axes.plot(xs, ys, color="#BBBBBB", lw=1, zorder=1)
    if alike:
        axes.set_xscale("log")
        plain_log(axes, "x")


def _point(axes: Axes, x: float, s: Spread, style: Look, name: str) -> None:
    axes.errorbar(
        [x],
        [s.median],
        yerr=[[s.median - s.low], [s.high - s.median]],
        color=style.color,
        marker=style.marker,
        markersize=7,
        capsize=3,
        linestyle="none",
        label=name,
    )
