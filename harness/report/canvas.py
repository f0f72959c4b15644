"""One look for every figure: colours that colour-blind readers tell apart, and fixed bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

GREY = "#666666"
KIMG = "images shown (kimg)"
_COLOURS = (
    *("#332288", "#CC6677", "#117733", "#56A5D8", "#882255"),
    *("#2E9C8B", "#8A8A1F", "#AA4499", "#C08A1E"),
)
"""After Paul Tol's muted scheme, the light ones darkened for thin lines on white."""
_DASHES = ("-", "--", "-.", (0, (1, 1.2)))
_MARKERS = "os^DvPX*<>"
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Look:
    """Colour, dashes and marker of one series."""

    color: str
    dashes: str | tuple[int, tuple[float, ...]]
    marker: str


RAW_LOOK = Look("#000000", "-", "o")


def look(index: int) -> Look:
    """Return the look of the ``index``-th series beside raw; no two of 36 are the same."""
    colour = _COLOURS[index % len(_COLOURS)]
    return Look(colour, _DASHES[(index + 1) % len(_DASHES)], _MARKERS[(index + 1) % 10])


def figure(
    widths: Sequence[float] = (1.0,), heights: Sequence[float] = (1.0,), *, share_y: bool = True
) -> tuple[Figure, list[list[Axes]]]:
    """Return an empty figure with a grid of axes that share x by column and y by row.

    Args:
        widths: relative widths of the columns.
        heights: relative heights of the rows.
        share_y: whether the axes of a row share y.
    """
    with rc_context(_STYLE):
        size = (8.6 if len(widths) < 3 else 9.8, 4.4)
        drawing = Figure(figsize=size, dpi=100, layout="constrained")
        FigureCanvasAgg(drawing)
        axes = drawing.subplots(
            len(heights),
            len(widths),
            squeeze=False,
            sharex="col",
            sharey="row" if share_y else False,
            width_ratios=widths,
            height_ratios=heights,
        )
        return drawing, [list(row) for row in axes]


def png(drawing: Figure) -> bytes:
    """Return the figure as PNG, the same bytes for the same drawing."""
    file = io.BytesIO()
    with rc_context(_STYLE):
        drawing.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def scale_y(axes: Axes, values: Iterable[float]) -> None:
    """Make y logarithmic where positive values span more than a factor of ten."""
    known = [value for value in values if math.isfinite(value)]
    if known and min(known) > 0 and max(known) > 10 * min(known):
        axes.set_yscale("log")
        plain_log(axes, "y")


def plain_log(axes: Axes, which: str, subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Label a logarithmic axis with plain numbers, at these of every power of ten."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(drawing: Figure, order: Iterable[str]) -> None:
    """List the series of all axes beside the drawing, in the order given."""
    known: dict[str, Artist] = {}
    for axes in drawing.axes:
        handles, labels = axes.get_legend_handles_labels()
        known = dict(zip(labels, handles, strict=True)) | known
    names = [name for name in order if name in known]
    with rc_context(_STYLE):
        drawing.legend(
            [known[name] for name in names], names, loc="outside right upper", handlelength=3.2
        )
