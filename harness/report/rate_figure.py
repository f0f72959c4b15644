"""What a ReduceLR rule saw and did, one seed a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.answer import main_metric
from harness.report.canvas import GREY, KIMG, figure, legend, plain_log, png, scale_y
from harness.report.frames import Results
from harness.report.series import Watched, watched
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reduce_lr(results: Results) -> bytes | None:
    """Draw, for each level's first seed, the watched metric, its best value and the rate."""
    every = watched(results)
    if not every:
        return None
    drawing, [upper, lower] = figure([1.0] * len(every), (1.2, 1))
    for top, bottom, seen in zip(upper, lower, every, strict=True):
        _seen(top, seen)
        _rate(bottom, seen)
        top.set_title(heading(results, seen), fontsize=9.5)
        bottom.set_xlabel(KIMG)
    scale_y(upper[0], [value for seen in every for _, value in seen.measured])
    lower[0].set_yscale("log")
    plain_log(lower[0], "y")
    upper[0].set_ylabel("watched metric")
    lower[0].set_ylabel("learning rate")
    legend(drawing, ["measured", "best so far", "has to be passed", "lowered"])
    return png(drawing)


def _seen(axes: Axes, seen: Watched) -> None:
    if seen.rule is None:
        axes.plot(*_axes(seen.measured), color=GREY, marker="o", markersize=3.5, lw=1.2)
        return
    kimg, values = _axes(seen.measured)
    axes.plot(kimg, values, color="black", marker="o", markersize=3.5, lw=1.2, label="measured")
    best, passed = _axes(seen.best), _axes(seen.passed)
    axes.step(*best, where="post", color="#117733", lw=1.6, label="best so far")
    axes.step(*passed, where="post", color="#CC6677", ls="--", lw=1.1, label="has to be passed")
    for i, (at, _, _) in enumerate(seen.lowered):
        axes.axvline(at, color="#332288", ls=":", lw=1.2, label="" if i else "lowered")


def _rate(axes: Axes, seen: Watched) -> None:
    axes.step(*_axes(seen.rate), where="post", color="#332288", lw=1.6)
    for at, _, _ in seen.lowered:
        axes.axvline(at, color="#332288", ls=":", lw=1.2)


def _axes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [kimg for kimg, _ in points], [value for _, value in points]


def heading(results: Results, seen: Watched) -> str:
    """Name a panel: level, seed, and the metric that its rule watched."""
    rule = seen.rule
    what = f"no rule; {main_metric(results)}/{RAW}" if rule is None else rule.val_metric
    return f"{seen.level}, seed {seen.seed}\n{what}"
