"""The main metric over training, as a chart of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from harness.records.quantities import lookup
from harness.report.answer import best_of, main_metric, shown_levels, title
from harness.report.frames import Results
from harness.report.page.axes import axis
from harness.report.page.drawing import (
    LEFT,
    RAW_LOOK,
    RIGHT,
    Chart,
    Data,
    Frame,
    Look,
    Panel,
    Point,
    Rule,
    View,
    look,
    panel,
)
from harness.report.series import FLOOR, Line, fenced, floor_value, hours, lines, over_training
from harness.report.statistics import Spread
from harness.report.text import Table, code
from harness.report.wording import decimals, number
from harness.spec.vocabulary import RAW

MOST_LINES, MOST_POINTS = 12, 60
KIMG = "images shown (kimg)"
FLOOR_LOOK = Look(0, 3, -1)


class Curve(NamedTuple):
    """A line of the chart over training: its evaluations by kimg, and their hours."""

    line: Line
    look: Look
    points: Mapping[float, Spread]
    hours: Mapping[float, float]


def curves(results: Results) -> Chart | None:
    """Draw the main metric over images shown and over hours, whole and in the last half."""
    metric = main_metric(results)
    every = [] if metric is None else _curves(results, metric)
    if metric is None or not every:
        return None
    shown, left_out = _best(every, metric)
    views = [View("images shown", _panels(results, metric, shown, KIMG, _by_kimg))]
    if all(curve.points.keys() <= curve.hours.keys() for curve in shown):
        clock = "hours" if results.machine.get("device", "cpu") == "cpu" else "GPU hours"
        x_title = f"{clock} of training and evaluation"
        views.append(View(clock, _panels(results, metric, shown, x_title, _by_hours)))
    caption = f"{title(metric)} over training: the median over the seeds, and from min to max"
    if left_out:
        caption += f"; raw and the best of {len(every)}, the tables have all"
    order = sorted(shown, key=lambda c: -[*c.points.values()][-1].median)
    legend = [(curve.line.name, curve.look) for curve in order]
    if floor_value(results, metric) is not None:
        legend.append((FLOOR, FLOOR_LOOK))
    return Chart("curves", f"{caption}.", views, legend, _values(results, shown))


def spread_text(s: Spread, places: int | None = None) -> str:
    """Return ``6.04 (5.22 to 6.97)``, or the one value there is."""
    places = decimals([s.median], 4) if places is None else places
    if s.low == s.high:
        return number(s.median, places)
    return f"{number(s.median, places)} ({number(s.low, places)} to {number(s.high, places)})"


def metric_axis(metric: str) -> str:
    """Return a metric's name with an arrow to where it is better."""
    return title(metric) + {"lower": " ↓", "higher": " ↑", "neither": ""}[lookup(metric).better]


def _curves(results: Results, metric: str) -> list[Curve]:
    levelled = len(shown_levels(results)) > 1
    every = lines(results, metric)
    clocks = {level: hours(results, level) for level in {line.cell.level for line in every}}
    return [
        Curve(
            line,
            _look(line, levelled),
            thinned(over_training(results, line.cell)),
            clocks[line.cell.level],
        )
        for line in every
    ]


def thinned(points: Mapping[float, Spread]) -> dict[float, Spread]:
    """Leave out evaluations, evenly and never the last, where there are very many."""
    step = -(-len(points) // MOST_POINTS)
    kept = [*reversed([*points][::-1][::step])] if step > 1 else [*points]
    return {kimg: points[kimg] for kimg in kept}


def _look(line: Line, levelled: bool) -> Look:
    own = RAW_LOOK if line.place == 0 else look(line.place - 1)
    if not levelled:
        return own
    return Look(own.colour, 0, own.marker) if line.cell.arm == RAW else own._replace(dash=1)


def _best(every: Sequence[Curve], metric: str) -> tuple[list[Curve], int]:
    """Return as many curves as can be told apart, and how many were left out."""
    if len(every) <= MOST_LINES:
        return [*every], 0
    left = {c.line.name: [*c.points.values()][-1].median for c in every if c.line.cell.arm != RAW}
    names = {c.line.name for c in every if c.line.cell.arm == RAW}
    while left and len(names) < MOST_LINES:
        name = best_of(left, metric) or next(iter(left))
        names.add(name)
        del left[name]
    return [c for c in every if c.line.name in names], len(every) - len(names)


_Place = Callable[[Curve, float], float]


def _by_kimg(_: Curve, kimg: float) -> float:
    return kimg


def _by_hours(curve: Curve, kimg: float) -> float:
    return curve.hours[kimg]


def _panels(
    results: Results, metric: str, shown: Sequence[Curve], x_title: str, place: _Place
) -> list[Panel]:
    """Return the whole of training, and its last half from near."""
    half = results.plan.spec.kimg / 2
    late = [(c, {k: s for k, s in c.points.items() if k >= half}) for c in shown]
    found = [(c, c.points) for c in shown]
    floor = floor_value(results, metric)
    across = [] if floor is None else [Rule("floor", floor, f"{FLOOR}: {number(floor)}")]
    whole = _panel("", x_title, metric, found, place, across)
    if all(len(points) < 2 for _, points in late):
        return [whole]
    return [whole, _panel("the last half", x_title, metric, late, place, [])]


def _panel(
    heading: str,
    x_title: str,
    metric: str,
    found: Sequence[tuple[Curve, Mapping[float, Spread]]],
    place: _Place,
    across: Sequence[Rule],
) -> Panel:
    x = axis(x_title, [place(c, k) for c, p in found for k in p], (LEFT, RIGHT), log=False)
    every = [
        Data(c.line.name, c.look, [_point(c, k, s, x.at(place(c, k))) for k, s in points.items()])
        for c, points in found
    ]
    ends = [v for _, p in found for s in p.values() for v in (s.low, s.high) if math.isfinite(v)]
    within = fenced((min(ends), max(ends)), ends) if heading and ends else None
    return panel(
        Frame(heading, x_title, x.ticks(), metric_axis(metric), across, within=within), every
    )


def _point(curve: Curve, kimg: float, last: Spread, x: float) -> Point:
    at = f"{kimg:g} kimg"
    if kimg in curve.hours:
        at += f", {number(curve.hours[kimg])} h"
    return Point(x, last, f"{curve.line.name}, {at}: {spread_text(last)}")


def _values(results: Results, shown: Sequence[Curve]) -> Table:
    """Return a line for each evaluation, with hours where all curves share them."""
    kimg = sorted({k for curve in shown for k in curve.points})
    clock = shown[0].hours if len(results.plan.levels) == 1 else {}
    head = ["kimg", *(["hours"] if clock else []), *(code(c.line.name) for c in shown)]
    rows = [
        [f"{k:g}", *([number(clock.get(k))] if clock else [])]
        + [spread_text(c.points[k]) if k in c.points else "" for c in shown]
        for k in kimg
    ]
    return Table(head, rows, words=0)
