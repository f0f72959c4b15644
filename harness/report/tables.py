"""The tables behind a report: one line for each level, arm and metric; and what runs cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.plan.arms import Arm
from harness.records.quantities import lookup
from harness.report.again import bests, measured_again, noise_between, noise_of
from harness.report.frames import REAL, RUN, Cell, Curve, Results
from harness.report.intervals import ENOUGH, Components, Interval, middle_mean
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
        again: over seeds, that best measured on fresh latents; None where it was not.
        middle: the interquartile mean of the last values; None where any line of the metric has
            fewer than 10.
        noise: evaluation's and training's part in their spread; None where that was not measured.
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
    again: Spread | None
    middle: Interval | None
    noise: Components | None
    to_raw: Judged | None
    to_first: Judged | None
    arm: Arm | None
    ema_error: float | None

    @property
    def typical(self) -> Interval:
        """The last values' middle mean with its interval, or median and extremes of few seeds."""
        return self.middle or Interval(self.last.median, self.last.low, self.last.high)


SUMMARY_COLUMNS = (
    *("level", "arm", "metric", "n", "median", "min", "max", "mean", "best_during_training"),
    *("difference_to_raw", "half_width", "p_holm"),
    *("difference_to_first_level", "level_half_width", "level_p_holm"),
    *("interp_mode", "momentum", "decay", "half_life_kimg", "span", "interval", "start_iter"),
    "ema_error",
)
NOISE_COLUMNS = (
    *("best_on_fresh_latents", "evaluation_sd", "evaluation_sd_low", "evaluation_sd_high"),
    *("evaluation_share", "evaluation_share_low", "evaluation_share_high"),
    *("evaluation_half_width", "level_evaluation_half_width"),
)
"""Further columns where fresh latents were measured; shares are of the variance over seeds."""
MIDDLE_COLUMNS = ("middle_mean", "middle_mean_low", "middle_mean_high")
"""Further columns where there are seeds enough."""

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
    lines = summary(results)
    blocks: list[tuple[Sequence[str], Callable[[SummaryLine], Sequence[object]]]]
    blocks = [(SUMMARY_COLUMNS, _record)]
    blocks += [(NOISE_COLUMNS, _noise)] if any(line.noise for line in lines) else []
    blocks += [(MIDDLE_COLUMNS, _middle)] if any(line.middle for line in lines) else []
    columns = [name for names, _ in blocks for name in names]
    records = ([v for _, fields in blocks for v in fields(line)] for line in lines)
    return csv_text(columns, records, _DIGITS)


def timing(results: Results) -> list[TimingLine]:
    """Return a line for each level that has a finished run."""
    if "timing" not in results.derived:
        results.derived["timing"] = [
            TimingLine(level, len(seeds), _costs(results, level, seeds))
            for level, seeds in results.finished.items()
            if seeds
        ]
    found: list[TimingLine] = results.derived["timing"]
    return found


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
    # A column is of one statistic.
    enough = all(len(results.last(cell)) >= ENOUGH for cell, _ in cells)
    to_raw = judged([difference_to_raw(results, cell) for cell, _ in cells])
    to_first = judged([_to_first(results, cell) for cell, _ in cells])
    return [
        SummaryLine(
            cell,
            spread([*results.last(cell).values()]),
            spread([value for _, value in bests(results, cell).values()]).median,
            _again(results, cell),
            middle_mean([[*results.last(cell).values()]]) if enough else None,
            noise_of(results, cell),
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
    return difference_between(results, cell, cell._replace(arm=RAW))


def difference_between(results: Results, ours: Cell, theirs: Cell) -> Difference | None:
    """Return the paired difference of two arms of one level at the end; None without seeds."""
    a, b = results.last(ours), results.last(theirs)
    seeds = [seed for seed in a if seed in b]
    if not seeds:
        return None
    found = paired([a[s] for s in seeds], [b[s] for s in seeds])
    return replace(found, noise=noise_between(results, ours, theirs, seeds))


def _to_first(results: Results, cell: Cell) -> Difference | None:
    first = cell._replace(level=results.plan.levels[0])
    if cell.arm == REAL or cell == first or first not in results.curves:
        return None
    ours, theirs = results.last(cell), results.last(first)
    found = welch([*ours.values()], [*theirs.values()])
    return replace(found, noise=noise_between(results, cell, first, [*ours]))


def _again(results: Results, cell: Cell) -> Spread | None:
    directed = lookup(cell.quantity).better != "neither"
    found = measured_again(results, cell) if directed else {}
    return spread([*found.values()]) if len(found) == len(results.last(cell)) > 0 else None


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


def _noise(line: SummaryLine) -> list[float | None]:
    found = line.noise
    return [
        None if line.again is None else line.again.median,
        *_bounds(None if found is None else found.evaluation),
        *_bounds(None if found is None else found.share),
        *(None if j is None else j.difference.noise for j in (line.to_raw, line.to_first)),
    ]


def _middle(line: SummaryLine) -> list[float | None]:
    return _bounds(line.middle)


def _bounds(found: Interval | None) -> list[float | None]:
    return [None] * 3 if found is None else [found.value, found.low, found.high]


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
    runs = [costs_of_run(results, level, seed) for seed in seeds]
    values = {cost: [run[cost] for run in runs if cost in run] for cost in COSTS}
    return {cost: spread(measured) for cost, measured in values.items() if measured}


def costs_of_run(results: Results, level: str, seed: int) -> dict[str, float]:
    """Return what of ``COSTS`` was measured of one finished run."""

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
