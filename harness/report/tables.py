"""The tables behind a report: one line for each level, arm and metric; and what runs cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.plan.arms import Arm
from harness.records.quantities import lookup
from harness.report.frames import REAL, RUN, Cell, Curve, Results
from harness.report.statistics import Difference, Judged, Spread, judged, paired, spread, welch
from harness.report.tabular import csv_text
from harness.spec.vocabulary import RAW


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One metric of one arm at one level over the finished runs' seeds.

    Args:
        cell: level, arm and metric.
        last: over seeds, the value at the end of training: the arm's result.
        best: median over seeds of the best value seen during training at the final resolution.
        to_raw: paired difference to raw in the same runs; None for raw and the real images.
        to_first: Welch difference to the same arm at the first level; None there.
            Each kind of difference is judged over all of its kind in this metric.
        arm: the arm's settings; None for the real images.
        ema_error: the largest relative error of the shadow's certificates; None where there is
            no shadow.
    """

    cell: Cell
    last: Spread
    best: float
    to_raw: Judged | None
    to_first: Judged | None
    arm: Arm | None
    ema_error: float | None


SUMMARY_COLUMNS = (
    *("level", "arm", "metric", "n", "median", "min", "max", "mean", "best_during_training"),
    *("difference_to_raw", "half_width", "p_holm"),
    *("difference_to_first_level", "level_half_width", "level_p_holm"),
    *("interp_mode", "momentum", "decay", "half_life_kimg", "span", "interval", "start_iter"),
    "ema_error",
)


EMA_ERROR = "ema_error"
_DIGITS = 10
"""Derived numbers are rounded, so that any machine rebuilds the tables to the byte."""
CLOCKS = ("train", "eval", "overhead")
COSTS = (
    *("run_sec", "train_sec_per_kimg"),
    *(f"{clock}_sec" for clock in CLOCKS),
    *(f"{clock}_share" for clock in CLOCKS),
    *("peak_rss_gib", "peak_gpu_gib"),
)
"""What a run costs; shares are of ``run_sec``, which is the sum of the three clocks."""


@dataclass(frozen=True, slots=True)
class TimingLine:
    """What one level's ``n`` finished runs cost; costs that were not measured are left out."""

    level: str
    n: int
    costs: Mapping[str, Spread]


def summary(results: Results) -> list[SummaryLine]:
    """Return a line for each metric, level and arm that has a finished run, the spec's order."""
    if "summary" not in results.derived:
        lines = [line for metric in results.metrics for line in _of_metric(results, metric)]
        results.derived["summary"] = lines
    found: list[SummaryLine] = results.derived["summary"]
    return found


def summary_text(results: Results) -> str:
    """Return ``summary.csv``."""
    return csv_text(SUMMARY_COLUMNS, (_record(line) for line in summary(results)), _DIGITS)


def timing(results: Results) -> list[TimingLine]:
    """Return a line for each level that has a finished run."""
    return [
        TimingLine(level, len(seeds), _costs(results, level, seeds))
        for level, seeds in results.finished.items()
        if seeds
    ]


def timing_text(results: Results) -> str:
    """Return ``timing.csv``: of each cost the median over seeds, and its extremes."""
    columns = [f"{cost}{part}" for cost in COSTS for part in ("", "_min", "_max")]
    lines = [
        [line.level, line.n]
        + [value for cost in COSTS for value in _extremes(line.costs.get(cost))]
        for line in timing(results)
    ]
    return csv_text(["level", "n", *columns], lines, _DIGITS)


def _of_metric(results: Results, metric: str) -> list[SummaryLine]:
    cells = [
        (Cell(level, name, metric), arm)
        for level in results.plan.levels
        for name, arm in [(REAL, None), *((arm.name, arm) for arm in results.arms(level))]
        if Cell(level, name, metric) in results.curves
    ]
    to_raw = judged([difference_to_raw(results, cell) for cell, _ in cells])
    to_first = judged([_to_first(results, cell) for cell, _ in cells])
    return [
        SummaryLine(
            cell,
            spread([*results.last(cell).values()]),
            _best(results, cell),
            raw,
            first,
            arm,
            ema_error(results, cell.level, cell.arm),
        )
        for (cell, arm), raw, first in zip(cells, to_raw, to_first, strict=True)
    ]


def ema_error(results: Results, level: str, arm: str) -> float | None:
    """Return the largest error of an arm's certificates over the finished runs."""
    return max(results.last(Cell(level, arm, EMA_ERROR)).values(), default=None)


def difference_to_raw(results: Results, cell: Cell) -> Difference | None:
    """Return the paired difference to raw at the end of training; None where there is none."""
    if cell.arm in {RAW, REAL}:
        return None
    ours, raw = results.last(cell), results.last(cell._replace(arm=RAW))
    seeds = [seed for seed in ours if seed in raw]
    return paired([ours[s] for s in seeds], [raw[s] for s in seeds]) if seeds else None


def _to_first(results: Results, cell: Cell) -> Difference | None:
    first = cell._replace(level=results.plan.levels[0])
    if cell.arm == REAL or cell == first or first not in results.curves:
        return None
    return welch([*results.last(cell).values()], [*results.last(first).values()])


def _best(results: Results, cell: Cell) -> float:
    # A smaller resolution is an easier task, whose values are not this one's.
    growth = results.run(cell.level).spec.growth
    pick: Callable[[list[float]], float]
    pick = max if lookup(cell.quantity).better == "higher" else min

    curves = results.curves[cell].values()
    final = {
        kimg
        for kimg in {kimg for curve in curves for kimg, _ in curve}
        if growth.stage(max(round(kimg * 1000) - 1, 0)).scale == growth.scales[-1]
    }

    def best(curve: Curve) -> float:
        return pick([value for kimg, value in curve if kimg in final] or [curve[-1][1]])

    return spread([best(curve) for curve in curves]).median


def _record(line: SummaryLine) -> list[object]:
    s, arm = line.last, line.arm
    directed = lookup(line.cell.quantity).better != "neither"
    return [
        *line.cell,
        *(s.n, s.median, s.low, s.high, s.mean, line.best if directed else None),
        *_numbers(line.to_raw),
        *_numbers(line.to_first),
        *(_settings(arm) if arm is not None and arm.name != RAW else [None] * 7),
        None if line.ema_error is None else float(f"{line.ema_error:.1e}"),
    ]


def _numbers(found: Judged | None) -> list[float | None]:
    if found is None:
        return [None] * 3
    return [found.difference.value, found.difference.half_width, found.p_holm]


def _settings(arm: Arm) -> list[object]:
    return [
        *(arm.interp_mode, arm.momentum, arm.decay, arm.half_life_kimg, arm.span),
        *(arm.interval, arm.start_iter),
    ]


def _extremes(found: Spread | None) -> list[float | None]:
    return [None] * 3 if found is None else [found.median, found.low, found.high]


def _costs(results: Results, level: str, seeds: Sequence[int]) -> dict[str, Spread]:
    runs = [_costs_of_run(results, level, seed) for seed in seeds]
    values = {cost: [run[cost] for run in runs if cost in run] for cost in COSTS}
    return {cost: spread(measured) for cost, measured in values.items() if measured}


def _costs_of_run(results: Results, level: str, seed: int) -> dict[str, float]:
    def curve(quantity: str) -> Curve:
        return results.curves.get(Cell(level, RUN, quantity), {}).get(seed, [])

    clocks = {clock: curve(f"time/{clock}_sec") for clock in CLOCKS}
    costs: dict[str, float] = {}
    if all(clocks.values()):
        seconds = {clock: points[-1][1] for clock, points in clocks.items()}
        total, kimg = sum(seconds.values()), clocks["train"][-1][0]
        costs = {f"{clock}_sec": value for clock, value in seconds.items()}
        costs |= {f"{clock}_share": value / total for clock, value in seconds.items() if total}
        costs |= {"run_sec": total}
        costs |= {"train_sec_per_kimg": seconds["train"] / kimg} if kimg else {}
    for cost in ("peak_rss_gib", "peak_gpu_gib"):
        if points := curve(f"memory/{cost}"):
            costs[cost] = max(value for _, value in points)
    return costs
