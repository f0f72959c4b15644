"""What each ReduceLR rule saw and did, as a chart of the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from harness.report.answer import main_metric
from harness.report.frames import Results
from harness.report.page.axes import Axis, Tick, axis
from harness.report.page.curves_chart import KIMG
from harness.report.page.drawing import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Chart,
    Data,
    Frame,
    Look,
    Panel,
    Point,
    Rule,
    View,
    panel,
    y_axis,
)
from harness.report.series import Watched, watched
from harness.report.statistics import spread
from harness.report.text import Table, code
from harness.report.wording import number
from harness.spec.vocabulary import RAW

_MEASURED, _BEST, _PASSED, _RATE = Look(0, 0, 0), Look(3, 0, -1), Look(2, 1, -1), Look(1, 0, -1)
_MOST_RATES = 4


def rates(results: Results) -> Chart | None:
    """Draw the watched metric and the learning rate of each level's first seed."""
    every = watched(results)
    if not every:
        return None
    x = axis(KIMG, [k for seen in every for k, _ in seen.measured], (LEFT, RIGHT), log=False)
    frames = [_frame(results, seen, x) for seen in every]
    shared = [y_axis(f, _seen(seen, x)) for f, seen in zip(frames, every, strict=True)]
    ends = [v for y in shared for v in (y.low, y.high)]
    y = axis("", ends, (BOTTOM, TOP), pad=0.0)
    upper = [panel(f, _seen(s, x), y) for f, s in zip(frames, every, strict=True)]
    lower = [_rate(seen, x) for seen in every]
    panels = [one for pair in zip(upper, lower, strict=True) for one in pair]
    caption = "What each ReduceLR rule watched, the best value so far, what a value had to pass to "
    caption += "count as better, and each decision to lower the learning rate; one seed a level."
    legend = [("measured", _MEASURED), ("best so far", _BEST), ("has to be passed", _PASSED)]
    return Chart(
        "reduce-lr",
        caption,
        [View("rates", panels)],
        [*legend, ("learning rate", _RATE)],
        Table(
            ["level", "kimg", "watched", "best so far", "had to pass", "learning rate"],
            [row for seen in every for row in _rows(seen)],
        ),
    )


def _frame(results: Results, seen: Watched, x: Axis) -> Frame:
    rule = seen.rule
    what = f"no rule; {main_metric(results)}/{RAW}" if rule is None else str(rule.val_metric)
    title = f"{seen.level}, seed {seen.seed}"
    return Frame(title, KIMG, x.ticks(), what, down=[*_lowered(seen, x)])


def _lowered(seen: Watched, x: Axis) -> Iterator[Rule]:
    for kimg, old, new in seen.lowered:
        said = f"lowered at {kimg:g} kimg from {old:.3g} to {new:.3g}"
        yield Rule("event", x.at(kimg), said)


def _seen(seen: Watched, x: Axis) -> list[Data]:
    best = _data("best so far", _BEST, seen.best, x)
    passed = _data("has to be passed", _PASSED, seen.passed, x)
    measured = _data("measured", _MEASURED, seen.measured, x, "band")
    return [measured] if seen.rule is None else [best, passed, measured]


def _rate(seen: Watched, x: Axis) -> Panel:
    every = [_data("learning rate", _RATE, seen.rate, x)]
    frame = Frame("", KIMG, x.ticks(), "learning rate", down=[*_lowered(seen, x)])
    y = y_axis(frame, every)
    distinct = sorted({rate for _, rate in seen.rate if math.isfinite(rate)})
    drawn = panel(frame, every, y)
    if not 0 < len(distinct) <= _MOST_RATES:
        return drawn
    return replace(drawn, y_ticks=[Tick(y.at(rate), f"{rate:.3g}") for rate in distinct])


def _data(
    name: str,
    look: Look,
    points: Sequence[tuple[float, float]],
    x: Axis,
    form: Literal["band", "step"] = "step",
) -> Data:
    said = ((kimg, value, f"{name}, {kimg:g} kimg: {value:.4g}") for kimg, value in points)
    placed = [Point(x.at(kimg), spread([value]), text) for kimg, value, text in said]
    return Data(name, look, placed, form)


def _rows(seen: Watched) -> Iterator[list[str]]:
    best, passed, rate = dict(seen.best), dict(seen.passed), dict(seen.rate)
    for kimg, value in seen.measured:
        others = (best.get(kimg), passed.get(kimg), rate.get(kimg))
        texts = ["" if other is None else f"{other:.4g}" for other in others]
        yield [code(seen.level), f"{kimg:g}", number(value), *texts]
