"""The main metric over the half-life of each EMA shadow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.plan.arms import Arm
from harness.report.answer import main_metric, shown_levels, title
from harness.report.canvas import GREY, Look, figure, legend, look, plain_log, png, scale_y
from harness.report.frames import REAL, Cell, Results
from harness.report.statistics import Spread, spread
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = "real images"
_FAR = 0.5
"""A floor lower than the values by this share of their range is drawn apart."""
_APART = 1.06
"""Half-lives nearer than this factor are drawn side by side."""
_SIDE = 0.22
"""Relative width of the panel for averages without a fixed half-life."""

_Point = tuple[int, Arm, Spread]


def ema(results: Results) -> bytes | None:
    """Draw every shadow's last value, raw's range and the floor; None without a half-life."""
    metric = main_metric(results) or ""
    points = {level: _points(results, level, metric) for level in shown_levels(results)}
    levels = [level for level in points if points[level]]
    if not any(arm.half_life_kimg for level in levels for _, arm, _ in points[level]):
        return None
    values = [v for level in levels for v in _values(results, level, metric, points[level])]
    far = _far_floor(results, metric, values)
    side = any(arm.half_life_kimg is None for level in levels for _, arm, _ in points[level])
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


def floor_value(results: Results, metric: str, level: str | None = None) -> float | None:
    """Return the median of a metric of the real images, at one level or over all."""
    cells = [cell for cell in results.curves if cell.arm == REAL and cell.quantity == metric]
    values = [v for c in cells if level in {None, c.level} for v in results.last(c).values()]
    return spread(values).median if values else None


def floor(axes: Axes, results: Results, metric: str, level: str | None = None) -> None:
    """Draw the metric of the real images as a line, where it was measured."""
    value = floor_value(results, metric, level)
    if value is not None:
        axes.axhline(value, color=GREY, linestyle=":", lw=1.4, label=FLOOR)


def _points(results: Results, level: str, metric: str) -> list[_Point]:
    """Return each shadow with its place in the spec and its last values."""
    lasts = [(arm, results.last(Cell(level, arm.name, metric))) for arm in results.arms(level)[1:]]
    spreads = [(i, arm, spread([*last.values()])) for i, (arm, last) in enumerate(lasts) if last]
    return [point for point in spreads if math.isfinite(point[2].mean)]


def _values(results: Results, level: str, metric: str, points: list[_Point]) -> list[float]:
    raw = [v for v in results.last(Cell(level, RAW, metric)).values() if math.isfinite(v)]
    return raw + [v for _, _, s in points for v in (s.low, s.high)]


def _far_floor(results: Results, metric: str, values: list[float]) -> float | None:
    value = floor_value(results, metric)
    if value is None or min(values) - value <= _FAR * (max(values) - min(values)):
        return None
    return value


def _level(
    panels: list[list[Axes]], results: Results, level: str, metric: str, points: list[_Point]
) -> None:
    """Draw one level; ``panels`` are rows (values, floor) of columns (half-lives, others)."""
    if raw := results.last(Cell(level, RAW, metric)):
        s = spread([*raw.values()])
        for axes in panels[0]:
            axes.axhspan(s.low, s.high, color="black", alpha=0.07, lw=0)
            axes.axhline(s.median, color="black", lw=1.4, label=RAW)
    for axes in panels[-1]:
        floor(axes, results, metric, level)
    _half_lives(panels[0][0], [point for point in points if point[1].half_life_kimg is not None])
    panels[-1][0].set_xlabel("EMA half-life (kimg)")
    others = [point for point in points if point[1].half_life_kimg is None]
    for x, (index, arm, s) in enumerate(others):
        _point(panels[0][1], float(x), s, look(index), arm.name)
    if len(panels[0]) > 1:
        panels[0][1].set_xlim(-0.7, max(len(others), 1) - 0.3)
        panels[0][1].set_xticks([])
        panels[-1][1].set_xlabel("no fixed\nhalf-life")


def _half_lives(axes: Axes, points: list[_Point]) -> None:
    alike: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    taken: list[float] = []
    for index, arm, s in points:
        x = arm.half_life_kimg or 0.0
        while any(abs(math.log(x / other)) < math.log(_APART) for other in taken):
            x *= _APART * 1.001
        taken.append(x)
        _point(axes, x, s, look(index), arm.name)
        alike.setdefault((arm.interp_mode, arm.interval, arm.start_iter), []).append((x, s.median))
    for path in alike.values():
        xs, ys = zip(*sorted(path), strict=True)
        axes.plot(xs, ys, color="#BBBBBB", lw=1, zorder=1)
    if points:
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
