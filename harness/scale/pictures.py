"""Pictures of simulated clusters and of what grows with the number of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.report.canvas import GREY, Look, figure, legend, look, plain_log, png
from harness.scale.agreement import FAILING, LONG, Check
from harness.scale.closed_forms import best_interval_sec, daly_sec, young_sec
from harness.scale.studies import GPUS, Line, failing, grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.scale.growth import Growth
    from harness.scale.simulation import Simulation

USEFUL = "useful work"
_PERCENT = "useful share of the GPUs' time (%)"


def over_gpus(found: Simulation) -> bytes:
    """Draw where the time goes, and the makespan over the lower bound, over GPUs."""
    drawing, [[left, right]] = figure((1.0, 1.0), share_y=False)
    lines = found.of("gpus")
    parts = [*grouped(next(iter(lines.values()))[0].shares)]
    below = [0.0] * len(GPUS)
    for index, part in enumerate([USEFUL, *parts]):
        heights = [100 * _median(lines[gpus, "longest"], part) for gpus in GPUS]
        colour = "#D9D9D9" if part == USEFUL else look(index - 1).color
        left.bar([f"{g:,}" for g in GPUS], heights, bottom=below, color=colour, label=part)
        below = [a + b for a, b in zip(below, heights, strict=True)]
    left.set(xlabel="GPUs", ylabel="share of the GPUs' time (%)", ylim=(0, 100))
    for index, order in enumerate(("plan", "longest")):
        ratios = [[line.makespan_days / line.bound_days for line in lines[g, order]] for g in GPUS]
        name = "the plan's order" if order == "plan" else "longest first"
        _band(right, GPUS, ratios, look(index), name)
    right.set(xlabel="GPUs", ylabel="makespan / lower bound", xscale="log")
    right.set_xticks(GPUS, [f"{g:,}" for g in GPUS])
    right.minorticks_off()
    legend(drawing, [USEFUL, *parts, "the plan's order", "longest first"])
    return png(drawing)


def over_intervals(found: Simulation) -> bytes:
    """Draw the useful share over the interval between checkpoints."""
    drawing, [[axes]] = figure()
    lines = found.of("interval")
    every = sorted({days for days, _ in lines})
    for index, days in enumerate(every):
        own = {minutes: those for (d, minutes), those in lines.items() if d == days}
        _band(axes, [*own], [_used(those) for those in own.values()], look(index), failing(days))
        if days < math.inf:
            best = found.best_interval_min(days)
            axes.axvline(best, color=look(index).color, linestyle=":", lw=1.2)
    axes.set(xlabel="work between two checkpoints (min)", ylabel=_PERCENT, xscale="log")
    plain_log(axes, "x")
    legend(drawing, map(failing, every))
    return png(drawing)


def over_services(found: Simulation) -> bytes:
    """Draw the useful share over the dispatcher's time and over the storage's bandwidth."""
    drawing, [[left, right]] = figure((1.0, 1.0), share_y=False)
    lines = found.of("dispatch")
    for index, gpus in enumerate(sorted({gpus for _, gpus in lines})):
        own = {sec: those for (sec, g), those in lines.items() if g == gpus}
        used = [_used(those) for those in own.values()]
        _band(left, [*own], used, look(index), f"{gpus:,} GPUs")
    left.set(xlabel="dispatcher's time for one run (s)", ylabel=_PERCENT, xscale="log")
    stored = {key[0]: those for key, those in found.of("storage").items()}
    gpus = next(iter(stored.values()))[0].setting.gpus
    label, used = f"long runs, {gpus:,} GPUs", [_used(those) for those in stored.values()]
    _band(right, [*stored], used, look(4), label)
    right.set(xlabel="storage (GiB/s)", xscale="log")
    for axes in (left, right):
        axes.set_ylim(0, 100)
    plain_log(left, "x", subs=(1.0,))
    plain_log(right, "x")
    legend(drawing, [*(f"{g:,} GPUs" for g in GPUS), label])
    return png(drawing)


def best_interval(checks: Mapping[float, Check]) -> bytes:
    """Draw the makespan of one GPU that fails, simulated and expected, over the interval."""
    drawing, [[axes]] = figure()
    xs = sorted(checks)
    middle = [checks[x].simulated / 3600 for x in xs]
    reach = [(checks[x].high - checks[x].expected) / 3600 for x in xs]
    axes.errorbar(xs, middle, reach, color=look(0).color, marker="o", ls="none", label="simulated")
    axes.plot(xs, [checks[x].expected / 3600 for x in xs], color=GREY, label="closed form")
    write = LONG.checkpoint_gib * FAILING.write_sec_per_gib
    marks = {"Young": young_sec, "Daly": daly_sec, "exact": best_interval_sec}
    for index, (name, interval) in enumerate(marks.items(), 1):
        style = look(index)
        at = interval(write, FAILING.mtbf_sec)
        axes.axvline(at, color=style.color, linestyle=style.dashes, lw=1, label=name)
    axes.set(xscale="log", yscale="log", xlabel="work between two checkpoints (s)")
    axes.set_ylabel("makespan (h)")
    plain_log(axes, "x")
    plain_log(axes, "y")
    legend(drawing, ["simulated", "closed form", *marks])
    return png(drawing)


def growth(found: Growth, shape: str, operations: Sequence[str]) -> bytes:
    """Draw seconds and peak memory of operations over runs, with lines of slope 1."""
    drawing, [[times, memory]] = figure((1.0, 1.0), share_y=False)
    for index, operation in enumerate(operations):
        points = found.of(shape, operation)
        if not points:
            continue
        style, runs = look(index), [*points]
        slope = found.exponent(shape, operation)
        name = operation if slope is None else f"{operation}: {slope:.2f}"
        _band(times, runs, [[p.sec for p in those] for those in points.values()], style, name)
        more = [[p.peak_mib - p.base_mib for p in those] for those in points.values()]
        _band(memory, runs, [[max(m, 0.1) for m in those] for those in more], style, name)
    for axes, title in ((times, "seconds"), (memory, "memory beyond the imports (MiB)")):
        axes.set(xscale="log", yscale="log", xlabel="synthetic runs", ylabel=title)
        low, high = axes.get_ylim()
        for height in range(math.floor(math.log10(low)) - 5, math.ceil(math.log10(high)) + 1):
            axes.plot([100, 1e5], [10**height, 10 ** (height + 3)], c=GREY, ls=":", lw=0.6)
        axes.set_ylim(low, high)
    legend(drawing, times.get_legend_handles_labels()[1])
    return png(drawing)


def _band(
    axes: Axes, xs: Iterable[float], values: Sequence[Sequence[float]], style: Look, name: str
) -> None:
    """Draw medians, and the range behind them."""
    places = [*xs]
    middle = [statistics.median(those) for those in values]
    axes.plot(places, middle, color=style.color, marker=style.marker, label=name)
    low, high = [min(those) for those in values], [max(those) for those in values]
    axes.fill_between(places, low, high, color=style.color, alpha=0.15, lw=0)


def _median(lines: Sequence[Line], part: str) -> float:
    shares = [{USEFUL: line.shares["useful"], **grouped(line.shares)}[part] for line in lines]
    return statistics.median(shares)


def _used(lines: Sequence[Line]) -> list[float]:
    return [100 * line.shares["useful"] for line in lines]
