"""What a ReduceLR rule saw and did, one seed a level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.answer import main_metric, shown_levels
from harness.report.canvas import GREY, KIMG, figure, legend, plain_log, png, scale_y
from harness.report.frames import RUN, Cell, Curve, Results
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reduce_lr(results: Results) -> bytes | None:
    """Draw, for each level's first seed, the watched metric, its best value and the rate."""
    levels = [level for level in shown_levels(results) if results.finished[level]]
    if not any(results.run(level).reduce_lr for level in levels):
        return None
    drawing, [upper, lower] = figure([1.0] * len(levels), (1.2, 1))
    watched: list[float] = []
    for top, bottom, level in zip(upper, lower, levels, strict=True):
        watched += _watched(top, results, level)
        _rate(bottom, results, level)
        top.set_title(_heading(results, level), fontsize=9.5)
        bottom.set_xlabel(KIMG)
    scale_y(upper[0], watched)
    lower[0].set_yscale("log")
    plain_log(lower[0], "y")
    upper[0].set_ylabel("watched metric")
    lower[0].set_ylabel("learning rate")
    legend(drawing, ["measured", "best so far", "has to be passed", "lowered"])
    return png(drawing)


def _watched(axes: Axes, results: Results, level: str) -> list[float]:
    rule = results.run(level).reduce_lr
    if rule is None:
        kimg, values = _of_run(results, Cell(level, RAW, main_metric(results) or ""))
        axes.plot(kimg, values, color=GREY, marker="o", markersize=3.5, lw=1.2)
        return values
    kimg, values = _of_run(results, Cell(level, RUN, "reduce_lr/value"))
    axes.plot(kimg, values, color="black", marker="o", markersize=3.5, lw=1.2, label="measured")
    kimg, best = _of_run(results, Cell(level, RUN, "reduce_lr/best"))
    axes.step(kimg, best, where="post", color="#117733", lw=1.6, label="best so far")
    s = rule.scheduler
    sign = -1 if s.mode == "min" else 1
    passed = [
        b + sign * (s.threshold * abs(b) if s.threshold_mode == "rel" else s.threshold)
        for b in best
    ]
    axes.step(
        kimg, passed, where="post", color="#CC6677", ls="--", lw=1.1, label="has to be passed"
    )
    for i, at in enumerate(_lowered(results, level)):
        axes.axvline(at, color="#332288", ls=":", lw=1.2, label="" if i else "lowered")
    return values


def _rate(axes: Axes, results: Results, level: str) -> None:
    kimg, rates = _of_run(results, Cell(level, RUN, "train/lr"))
    axes.step(kimg, rates, where="post", color="#332288", lw=1.6)
    for at in _lowered(results, level):
        axes.axvline(at, color="#332288", ls=":", lw=1.2)


def _lowered(results: Results, level: str) -> list[float]:
    kimg, new = _of_run(results, Cell(level, RUN, "reduce_lr/new_lr"))
    _, old = _of_run(results, Cell(level, RUN, "reduce_lr/old_lr"))
    return [at for at, after, before in zip(kimg, new, old, strict=True) if after < before]


def _of_run(results: Results, cell: Cell) -> tuple[list[float], list[float]]:
    seed = results.finished[cell.level][0]
    curve: Curve = results.curves.get(cell, {}).get(seed, [])
    return [kimg for kimg, _ in curve], [value for _, value in curve]


def _heading(results: Results, level: str) -> str:
    rule = results.run(level).reduce_lr
    watched = f"no rule; {main_metric(results)}/{RAW}" if rule is None else rule.val_metric
    return f"{level}, seed {results.finished[level][0]}\n{watched}"
