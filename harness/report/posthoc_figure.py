"""The main metric over the EMA's length, rebuilt after training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.answer import main_metric, shown_levels, title
from harness.report.canvas import RAW_LOOK, figure, legend, look, plain_log, png, scale_y
from harness.report.frames import Cell, Results
from harness.report.posthoc import Length, lengths
from harness.report.series import last_of
from harness.report.statistics import Spread
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_REBUILT = "rebuilt"
_LIVE = "averaged in training"


def posthoc(results: Results) -> bytes | None:
    """Draw a level a panel: rebuilt lengths as a line with its seeds' range, live ones as marks."""
    metric = main_metric(results) or ""
    found = {level: lengths(results, level, metric) for level in shown_levels(results)}
    levels = [level for level in found if _finite([one.value for one in found[level]])]
    if not levels:
        return None
    drawing, [panels] = figure([1.0] * len(levels))
    shown: list[Spread] = []
    for axes, level in zip(panels, levels, strict=True):
        shown += _panel(axes, results, level, found[level])
        if len(results.plan.levels) > 1:
            axes.set_title(level, fontsize=9.5)
    scale_y(panels[0], [v for s in shown for v in (s.low, s.high)])
    panels[0].set_ylabel(title(metric))
    legend(drawing, [RAW, _REBUILT, _LIVE])
    return png(drawing)


def _panel(axes: Axes, results: Results, level: str, found: Sequence[Length]) -> list[Spread]:
    """Draw one level and return what was drawn."""
    metric = found[0].cell.quantity
    known = [one for one in found if math.isfinite(one.value.mean)]
    raw = _finite([last_of(results, Cell(level, RAW, metric))])
    for s in raw:
        axes.axhspan(s.low, s.high, color=RAW_LOOK.color, alpha=0.07, lw=0)
        axes.axhline(s.median, color=RAW_LOOK.color, lw=1.4, label=RAW)
    style = look(0)
    widths, values = [one.sigma_rel for one in known], [one.value for one in known]
    low, high = [s.low for s in values], [s.high for s in values]
    axes.fill_between(widths, low, high, color=style.color, alpha=0.13, lw=0)
    axes.plot(
        widths,
        [s.median for s in values],
        color=style.color,
        marker=style.marker,
        markersize=4,
        lw=1.6,
        label=_REBUILT,
    )
    twins = [(one, last_of(results, Cell(level, one.twin, metric))) for one in known if one.twin]
    _marks(axes, [(one.sigma_rel, last) for one, last in twins if last])
    _length_axes(axes, results.run(level).spec.kimg)
    return [*raw, *values]


def _marks(axes: Axes, points: Sequence[tuple[float, Spread]]) -> None:
    if not points:
        return
    style = look(1)
    medians = [s.median for _, s in points]
    axes.errorbar(
        [x for x, _ in points],
        medians,
        yerr=[
            [s.median - s.low for _, s in points],
            [s.high - s.median for _, s in points],
        ],
        color=style.color,
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgewidth=1.6,
        capsize=3,
        lw=1,
        linestyle="none",
        zorder=3,
        label=_LIVE,
    )


def _length_axes(axes: Axes, kimg: float) -> None:
    """Put relative widths below and the same in thousands of images above."""
    axes.set_xscale("log")
    plain_log(axes, "x")
    axes.set_xlabel("EMA length, sigma_rel")
    above = axes.twiny()
    above.set_xscale("log")
    above.set_xlim(*(kimg * width for width in axes.get_xlim()))
    plain_log(above, "x")
    above.grid(visible=False)
    above.spines[["top", "right"]].set_visible(False)
    above.tick_params(labelsize=9.5)
    above.set_xlabel("the same in kimg", fontsize=9.5)


def _finite(spreads: Sequence[Spread | None]) -> list[Spread]:
    return [s for s in spreads if s is not None and math.isfinite(s.mean)]
