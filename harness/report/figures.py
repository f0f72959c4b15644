"""Figures of a report, drawn from the same rows as its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.report.answer import main_metric, shown_levels, title
from harness.report.canvas import (
    KIMG,
    RAW_LOOK,
    Look,
    figure,
    legend,
    look,
    png,
    scale_y,
)
from harness.report.ema_figure import ema, floor
from harness.report.frames import Cell, Results
from harness.report.posthoc_figure import posthoc
from harness.report.rate_figure import reduce_lr
from harness.report.series import FLOOR, Line, fenced, lines, over_training
from harness.report.statistics import Spread, spread
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(results: Results) -> bytes | None:
    """Draw the main metric over training: an arm a line, or a level for the arms of interest."""
    metric = main_metric(results)
    series = {} if metric is None else _series(results, metric)
    if metric is None or not series:
        return None
    drawing, [panels] = figure((1.0, 1.0), share_y=False)
    for axes, since in zip(panels, (0.0, results.plan.spec.kimg / 2), strict=True):
        spreads = {}
        for name, (cell, style) in series.items():
            points = over_training(results, cell)
            spreads[name] = {kimg: s for kimg, s in points.items() if kimg >= since}
            _band(axes, spreads[name], style, name)
        shown = [v for p in spreads.values() for s in p.values() for v in (s.low, s.high)]
        scale_y(axes, shown)
        axes.set_xlabel(KIMG)
    floor(panels[0], results, metric)
    panels[0].set_ylabel(title(metric))
    panels[1].set_title("the last half", fontsize=9.5)
    panels[1].set_ylim(*fenced(panels[1].get_ylim(), shown))
    last = {name: [*results.last(cell).values()] for name, (cell, _) in series.items()}
    order = sorted(last, key=lambda name: spread(last[name]).median, reverse=True)
    legend(drawing, [*order, FLOOR])
    return png(drawing)


DRAWINGS: Mapping[str, Callable[[Results], bytes | None]] = {
    "curves.png": curves,
    "ema.png": ema,
    "posthoc.png": posthoc,
    "reduce_lr.png": reduce_lr,
}
"""Figures by file name; one that has nothing to show gives None."""


def _series(results: Results, metric: str) -> dict[str, tuple[Cell, Look]]:
    levelled = len(shown_levels(results)) > 1
    return {line.name: (line.cell, _look(line, levelled)) for line in lines(results, metric)}


def _look(line: Line, levelled: bool) -> Look:
    own = RAW_LOOK if line.place == 0 else look(line.place - 1)
    if not levelled:
        return own
    return Look(own.color, "-", "o") if line.cell.arm == RAW else Look(own.color, "--", "^")


def _band(axes: Axes, points: Mapping[float, Spread], style: Look, name: str) -> None:
    kimg, spreads = [*points], [*points.values()]
    axes.fill_between(
        kimg,
        [s.low for s in spreads],
        [s.high for s in spreads],
        color=style.color,
        alpha=0.13,
        lw=0,
    )
    axes.plot(
        kimg,
        [s.median for s in spreads],
        color=style.color,
        linestyle=style.dashes,
        marker=style.marker,
        markersize=4.5,
        linewidth=1.6,
        label=name,
    )
