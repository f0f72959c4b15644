"""Drawings as values: what a template needs to write a chart as SVG, in the drawing's units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.report.page.axes import Axis, Tick, axis
from harness.report.statistics import Spread
from harness.report.text import Table

WIDTH, HEIGHT = 460, 310
LEFT, RIGHT, TOP, BOTTOM = 58, 448, 30, 262
"""The box that values are drawn in."""
_LINE = 16


class Look(NamedTuple):
    """Colour (0 is the text's), dash pattern and marker of a series, as numbers of the style."""

    colour: int
    dash: int
    marker: int


RAW_LOOK = Look(0, 0, 0)
COLOURS, DASHES, MARKERS = 9, 4, 10


def look(index: int) -> Look:
    """Return the look of the ``index``-th series beside raw; no two of 36 are the same."""
    return Look(1 + index % COLOURS, (index + 1) % DASHES, (index + 1) % MARKERS)


class Point(NamedTuple):
    """A spread at a place along x, and what is said of it."""

    x: float
    last: Spread
    text: str


@dataclass(frozen=True, slots=True)
class Data:
    """A series of points.

    Args:
        name: what the legend calls it.
        look: how it is drawn.
        points: from left to right.
        form: a line with a band from min to max, a step, or marks with bars from min to max.
    """

    name: str
    look: Look
    points: Sequence[Point]
    form: Literal["band", "step", "bars"] = "band"


class Rule(NamedTuple):
    """A line across the drawing at a value, or down it at a place, and what it says."""

    kind: Literal["floor", "raw", "event", "edge"]
    at: float
    text: str


class Zone(NamedTuple):
    """Values from ``low`` to ``high``, shaded over the whole width."""

    low: float
    high: float


class Mark(NamedTuple):
    """A marker at a place, and what is said of it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series in the drawing's units; paths are SVG's."""

    name: str
    look: Look
    line: str
    band: str
    bars: Sequence[tuple[float, float, float]]
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart of one pair of axes, complete."""

    title: str
    label: str
    x_title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    series: Sequence[Drawn]
    across: Sequence[Rule]
    down: Sequence[Rule]
    zone: Zone | None
    note: str

    @property
    def height(self) -> int:
        """Of the whole drawing; a second line of texts below the axis needs room."""
        return HEIGHT + (_LINE if any(tick.below for tick in self.x_ticks) else 0)


class View(NamedTuple):
    """One way to look at a chart, and its name in a switch."""

    name: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of the page.

    Args:
        key: its name in the page.
        caption: what is shown.
        views: at least one; with more of them the reader switches.
        legend: names with looks, in the order of reading.
        values: everything that is drawn, as a table.
    """

    key: str
    caption: str
    views: Sequence[View]
    legend: Sequence[tuple[str, Look]]
    values: Table

    @property
    def keys(self) -> dict[str, int]:
        """Place in the legend by name."""
        return {name: place for place, (name, _) in enumerate(self.legend)}


@dataclass(frozen=True, slots=True)
class Frame:
    """What a panel has beside its series."""

    title: str
    x_title: str
    x_ticks: Sequence[Tick]
    y_title: str
    across: Sequence[Rule] = ()
    down: Sequence[Rule] = ()
    zone: Zone | None = None
    note: str = ""
    within: tuple[float, float] | None = None
    """Values beyond which nothing is shown."""


def panel(frame: Frame, every: Sequence[Data], y: Axis | None = None) -> Panel:
    """Place series in a panel; ``y`` where panels share an axis."""
    y = y or y_axis(frame, every)
    zone = frame.zone and Zone(y.at(frame.zone.low), y.at(frame.zone.high))
    return Panel(
        frame.title,
        f"{frame.y_title} over {frame.x_title}" + (f", {frame.title}" if frame.title else ""),
        frame.x_title,
        frame.y_title,
        frame.x_ticks,
        y.ticks(),
        [_drawn(data, y) for data in every],
        [rule._replace(at=y.at(rule.at)) for rule in frame.across if _on(y, rule.at)],
        frame.down,
        zone,
        frame.note,
    )


def y_axis(frame: Frame, every: Sequence[Data]) -> Axis:
    """Return an axis that shows every series, rule and zone, inside the frame's limits."""
    values = [v for data in every for point in data.points for v in _extent(point)]
    values += [rule.at for rule in frame.across]
    values += frame.zone or ()
    if frame.within is not None:
        low, high = frame.within
        values = [value for value in values if low <= value <= high]
    return axis(frame.y_title, values, (BOTTOM, TOP))


def _on(y: Axis, value: float) -> bool:
    return math.isfinite(value) and y.low <= value <= y.high


def _drawn(data: Data, y: Axis) -> Drawn:
    runs = _finite_runs(data.points, y)
    shown = [point for run in runs for point in run]
    bars = [(point.x, y.at(point.last.low), y.at(point.last.high)) for point in shown]
    line = _steps if data.form == "step" else _path
    return Drawn(
        data.name,
        data.look,
        "" if data.form == "bars" else "".join(line(run, y) for run in runs),
        "".join(_band(run, y) for run in runs) if data.form == "band" else "",
        bars if data.form == "bars" else [],
        [Mark(point.x, y.at(point.last.median), point.text) for point in shown],
    )


def _extent(point: Point) -> tuple[float, float, float]:
    return point.last.low, point.last.median, point.last.high


def _finite_runs(points: Sequence[Point], y: Axis) -> list[list[Point]]:
    """Cut a series where a value is not finite, or has no place on a logarithmic axis."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if all(math.isfinite(v) and (v > 0 or not y.log) for v in _extent(point)):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(run: Sequence[Point], y: Axis) -> str:
    return "M" + "L".join(f"{p.x:.1f} {y.at(p.last.median):.1f}" for p in run)


def _steps(run: Sequence[Point], y: Axis) -> str:
    (first, *rest), text = run, ""
    for point in rest:
        text += f"H{point.x:.1f}V{y.at(point.last.median):.1f}"
    return f"M{first.x:.1f} {y.at(first.last.median):.1f}{text}"


def _band(run: Sequence[Point], y: Axis) -> str:
    there = [f"{p.x:.1f} {y.at(p.last.high):.1f}" for p in run]
    back = [f"{p.x:.1f} {y.at(p.last.low):.1f}" for p in reversed(run)]
    return f"M{'L'.join([*there, *back])}Z"
