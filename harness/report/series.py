"""What figures show, as values: curves over training, shadows by half-life, what a rule did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import NamedTuple

import numpy as np

from harness.plan.arms import Arm
from harness.report.answer import main_metric, of_interest, shown_levels
from harness.report.frames import REAL, RUN, Cell, Results
from harness.report.statistics import Spread, spread
from harness.report.tables import CLOCKS, summary
from harness.spec.schema import ReduceLR
from harness.spec.vocabulary import RAW

FLOOR = "real images"
_FAR = 0.5
"""A floor lower than the values by this share of their range is far from them."""
_APART = 1.06
"""Half-lives nearer than this factor are drawn side by side."""
_FARTHEST = 1e100


class Line(NamedTuple):
    """A metric over training.

    Args:
        name: what a legend calls it.
        cell: level, arm and metric.
        place: of its arm in the plan, or with several levels of its level among those shown.
    """

    name: str
    cell: Cell
    place: int


class Shadow(NamedTuple):
    """A shadow's last values; ``place`` is its place among the spec's shadows."""

    place: int
    arm: Arm
    last: Spread


@dataclass(frozen=True, slots=True)
class Watched:
    """What a level's first seed measured, and what its ReduceLR rule made of it.

    Args:
        level: whose run it is.
        seed: which of the level's runs it is.
        rule: the rule; None where the level has none, and raw's main metric is shown.
        measured: (kimg, value) of the watched metric.
        best: (kimg, best value so far).
        passed: (kimg, what a value had to pass to count as better).
        rate: (kimg, learning rate).
        lowered: (kimg, rate before, rate after) of each decision to lower it.
    """

    level: str
    seed: int
    rule: ReduceLR | None
    measured: Sequence[tuple[float, float]]
    best: Sequence[tuple[float, float]]
    passed: Sequence[tuple[float, float]]
    rate: Sequence[tuple[float, float]]
    lowered: Sequence[tuple[float, float, float]]


def drawable(results: Results) -> Results:
    """Leave out what no axis reaches: drawing fails near the largest floats."""
    values = results.rows["value"]
    if not (np.abs(np.asarray(values, float)) > _FARTHEST).any():
        return results
    shown = [math.nan if abs(value) > _FARTHEST else value for value in values]
    return replace(results, rows={**results.rows, "value": shown})


def lines(results: Results, metric: str) -> list[Line]:
    """Return an arm a line, or a line for each level and arm of interest."""
    levels = shown_levels(results)
    if len(levels) == 1:
        every = [
            Line(arm.name, Cell(levels[0], arm.name, metric), place)
            for place, arm in enumerate(results.plan.arms)
        ]
    else:
        measured = [line for line in summary(results) if line.cell.quantity == metric]
        arms = of_interest(measured) if measured else []
        every = [
            Line(f"{level}, {arm}", Cell(level, arm, metric), place)
            for place, level in enumerate(levels)
            for arm in arms
        ]
    return [line for line in every if line.cell in results.curves]


def over_training(results: Results, cell: Cell) -> dict[float, Spread]:
    """Return the spread over seeds at each evaluation, by kimg."""
    points: dict[float, list[float]] = {}
    for curve in results.curves[cell].values():
        for kimg, value in curve:
            points.setdefault(kimg, []).append(value)
    return {kimg: spread(points[kimg]) for kimg in sorted(points)}


def hours(results: Results, level: str) -> dict[float, float]:
    """Return the median over seeds of the hours of training and evaluating, by kimg."""
    totals: dict[float, list[float]] = {}
    cells = [Cell(level, RUN, f"time/{clock}_sec") for clock in CLOCKS[:2]]
    for seed in results.finished[level]:
        train, evaluate = (dict(results.curves.get(cell, {}).get(seed, [])) for cell in cells)
        for kimg in train.keys() & evaluate.keys():
            totals.setdefault(kimg, []).append((train[kimg] + evaluate[kimg]) / 3600)
    return {kimg: spread(totals[kimg]).median for kimg in sorted(totals)}


def shadows(results: Results, level: str, metric: str) -> list[Shadow]:
    """Return each shadow with finite last values."""
    lasts = [(arm, results.last(Cell(level, arm.name, metric))) for arm in results.arms(level)[1:]]
    found = [
        Shadow(i, arm, spread([*last.values()])) for i, (arm, last) in enumerate(lasts) if last
    ]
    return [shadow for shadow in found if math.isfinite(shadow.last.mean)]


def side_by_side(found: Sequence[Shadow]) -> Iterator[tuple[float, Shadow]]:
    """Yield shadows that have a half-life where they are drawn, so that none covers another."""
    taken: list[float] = []
    for shadow in found:
        x = shadow.arm.half_life_kimg
        if x is None:
            continue
        while any(abs(math.log(x / other)) < math.log(_APART) for other in taken):
            x *= _APART * 1.001
        taken.append(x)
        yield x, shadow


def last_of(results: Results, cell: Cell) -> Spread | None:
    """Return the finite spread of a cell's last values, where it has one."""
    values = [*results.last(cell).values()]
    found = spread(values) if values else None
    return found if found is not None and math.isfinite(found.mean) else None


def floor_value(results: Results, metric: str, level: str | None = None) -> float | None:
    """Return the median of a metric of the real images, at one level or over all."""
    cells = [cell for cell in results.curves if cell.arm == REAL and cell.quantity == metric]
    values = [v for c in cells if level in {None, c.level} for v in results.last(c).values()]
    return spread(values).median if values else None


def is_far(floor: float, values: Sequence[float]) -> bool:
    """Tell whether a floor stands so low that showing it would flatten the values."""
    return min(values) - floor > _FAR * (max(values) - min(values))


def fenced(limits: tuple[float, float], values: Sequence[float]) -> tuple[float, float]:
    """Return limits that leave out values far from the rest (3 interquartile ranges)."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 8:
        return limits
    first, _, third = quantiles(known)
    reach = 3 * (third - first)
    if reach == 0:
        return limits
    return max(limits[0], first - reach), min(limits[1], third + reach)


def watched(results: Results) -> list[Watched]:
    """Return what each shown level's first finished seed saw; none where no level has a rule."""
    levels = [level for level in shown_levels(results) if results.finished[level]]
    if not any(results.run(level).reduce_lr for level in levels):
        return []
    return [_watched(results, level) for level in levels]


def _watched(results: Results, level: str) -> Watched:
    seed, rule = results.finished[level][0], results.run(level).reduce_lr

    def of_run(quantity: str) -> list[tuple[float, float]]:
        return results.curves.get(Cell(level, RUN, quantity), {}).get(seed, [])

    raw: Mapping[int, Sequence[tuple[float, float]]]
    raw = results.curves.get(Cell(level, RAW, main_metric(results) or ""), {})
    best = of_run("reduce_lr/best")
    changes = zip(of_run("reduce_lr/old_lr"), of_run("reduce_lr/new_lr"), strict=True)
    return Watched(
        level,
        seed,
        rule,
        of_run("reduce_lr/value") if rule else raw.get(seed, []),
        best,
        [(kimg, _to_pass(value, rule)) for kimg, value in best] if rule else [],
        of_run("train/lr"),
        [(kimg, old, new) for (kimg, old), (_, new) in changes if new < old],
    )


def _to_pass(best: float, rule: ReduceLR) -> float:
    s = rule.scheduler
    step = s.threshold * abs(best) if s.threshold_mode == "rel" else s.threshold
    return best - step if s.mode == "min" else best + step
