"""The main metric over the EMA's length: shadows by half-life, and lengths rebuilt afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.plan.expand import ONLY_LEVEL
from harness.report.answer import main_metric, shown_levels, title
from harness.report.frames import Cell, Results
from harness.report.page.axes import Axis, Tick, axis
from harness.report.page.curves_chart import FLOOR_LOOK, metric_axis, spread_text
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
    Zone,
    look,
    panel,
    y_axis,
)
from harness.report.posthoc import Length, lengths
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
from harness.report.text import Table, code
from harness.report.wording import number
from harness.spec.vocabulary import RAW

_SLOT, _LABEL = 26, 90
"""Width for each average without a fixed half-life, and for the words below them at least."""
_REBUILT, _LIVE = "rebuilt", "averaged in training"
_REBUILT_LOOK, _LIVE_LOOK = Look(1, 0, 1), Look(2, 0, 10)


def half_life(results: Results) -> Chart | None:
    """Draw each shadow's last value over its half-life; None where none has one."""
    metric = main_metric(results) or ""
    found = {level: shadows(results, level, metric) for level in shown_levels(results)}
    found = {level: every for level, every in found.items() if every}
    every = [shadow for shadows in found.values() for shadow in shadows]
    if not any(shadow.arm.half_life_kimg for shadow in every):
        return None
    parts = [_shadows(results, level, metric, own) for level, own in found.items()]
    names = dict.fromkeys((s.arm.name, s.place) for s in every)
    legend = [(RAW, RAW_LOOK), *((name, look(place)) for name, place in names)]
    if floor_value(results, metric) is not None:
        legend.append((FLOOR, FLOOR_LOOK))
    caption = f"{title(metric)} at the end of training over the EMA's half-life: the median over "
    caption += "the seeds, and from min to max. The grey band is raw's range."
    view = View("half-life", _sharing_y(parts))
    return Chart("ema", caption, [view], legend, _shadow_values(found, metric))


def widths(results: Results) -> Chart | None:
    """Draw the rebuilt lengths of each level; None where none was rebuilt."""
    metric = main_metric(results) or ""
    found = {level: lengths(results, level, metric) for level in shown_levels(results)}
    found = {k: [one for one in v if math.isfinite(one.value.mean)] for k, v in found.items()}
    parts = [_widths(results, level, metric, own) for level, own in found.items() if own]
    if not parts:
        return None
    caption = f"{title(metric)} over the EMA's relative width, each width rebuilt from snapshots "
    caption += "of one run a seed: the median over the seeds, and from min to max."
    legend = [(RAW, RAW_LOOK), (_REBUILT, _REBUILT_LOOK), (_LIVE, _LIVE_LOOK)]
    rows = [
        [code(one.cell.level), f"{one.sigma_rel:g}", number(one.kimg), spread_text(one.value)]
        for own in found.values()
        for one in own
    ]
    table = Table(["level", "sigma_rel", "width (kimg)", title(metric)], rows)
    return Chart("posthoc", caption, [View("widths", _sharing_y(parts))], legend, table)


_Part = tuple[Frame, Sequence[Data]]


def _sharing_y(parts: Sequence[_Part]) -> list[Panel]:
    """Draw panels on one axis, so that levels can be compared."""
    axes = [y_axis(frame, every) for frame, every in parts]
    ends = [v for y in axes for v in (y.low, y.high)]
    y = axis(axes[0].title, ends, (axes[0].start, axes[0].end), pad=0.0)
    return [panel(frame, every, y) for frame, every in parts]


def _shadows(results: Results, level: str, metric: str, found: Sequence[Shadow]) -> _Part:
    slots = [shadow for shadow in found if shadow.arm.half_life_kimg is None]
    placed = [*side_by_side(found)]
    slot = max(_SLOT, _LABEL / (len(slots) + 0.5))
    edge = RIGHT - slot * (len(slots) + 0.5) if slots else RIGHT
    x = axis("EMA half-life (kimg)", [at for at, _ in placed] or [1.0], (LEFT, edge), log=True)
    points = [(x.at(at), shadow) for at, shadow in placed]
    points += [(edge + slot * (number + 0.75), s) for number, s in enumerate(slots)]
    every = [Data(s.arm.name, look(s.place), [_shadow(at, s)], "bars") for at, s in points]
    ticks = x.ticks()
    down = []
    if slots:
        ticks = [*ticks, Tick((edge + RIGHT) / 2, "none fixed")]
        down = [Rule("edge", edge, "")]
    frame = _frame(results, level, metric, (x.title, ticks), [s.last for _, s in points])
    return replace(frame, down=down), every


def _shadow(x: float, shadow: Shadow) -> Point:
    length = shadow.arm.half_life_kimg
    said = "no fixed half-life" if length is None else f"half-life {number(length)} kimg"
    return Point(x, shadow.last, f"{shadow.arm.name}, {said}: {spread_text(shadow.last)}")


def _widths(results: Results, level: str, metric: str, found: Sequence[Length]) -> _Part:
    kimg = results.run(level).spec.kimg
    name = "EMA length, sigma_rel; below it in kimg"
    x = axis(name, [one.sigma_rel for one in found], (LEFT, RIGHT), log=True)
    ticks = [tick._replace(below=number(kimg * float(tick.text))) for tick in x.ticks()]
    rebuilt = [_width(x, one, one.value, _REBUILT) for one in found]
    twins = [(one, last_of(results, Cell(level, one.twin, metric))) for one in found if one.twin]
    live = [_width(x, one, last, one.twin or "") for one, last in twins if last]
    every = [Data(_REBUILT, _REBUILT_LOOK, rebuilt), Data(_LIVE, _LIVE_LOOK, live, "bars")]
    return _frame(results, level, metric, (x.title, ticks), [o.value for o in found]), every


def _frame(
    results: Results,
    level: str,
    metric: str,
    x: tuple[str, Sequence[Tick]],
    found: Sequence[Spread],
) -> Frame:
    """Show raw as a line and a band, and the real images as a line or, where far, in words."""
    raw = last_of(results, Cell(level, RAW, metric))
    values = [v for s in [*found, *([raw] if raw else [])] for v in (s.low, s.high)]
    floor = floor_value(results, metric, level)
    far = floor is not None and is_far(floor, values)
    across = [Rule("raw", raw.median, f"{RAW}: {spread_text(raw)}")] if raw else []
    if floor is not None and not far:
        across.append(Rule("floor", floor, f"{FLOOR}: {number(floor)}"))
    return Frame(
        "" if level == ONLY_LEVEL else level,
        *x,
        metric_axis(metric),
        across,
        zone=Zone(raw.low, raw.high) if raw else None,
        note=f"{FLOOR}: {number(floor)}, far below" if far else "",
    )


def _width(x: Axis, one: Length, last: Spread, what: str) -> Point:
    said = f"{what}, sigma_rel {one.sigma_rel:g} ({number(one.kimg)} kimg): {spread_text(last)}"
    return Point(x.at(one.sigma_rel), last, said)


def _shadow_values(found: dict[str, list[Shadow]], metric: str) -> Table:
    rows = [
        [code(level), code(s.arm.name), number(s.arm.half_life_kimg), spread_text(s.last)]
        for level, every in found.items()
        for s in every
    ]
    head = ["level", "arm", "half-life (kimg)", title(metric)]
    if [*found] == [ONLY_LEVEL]:
        head, rows = head[1:], [row[1:] for row in rows]
    return Table(head, rows, words=len(head) - 2)
