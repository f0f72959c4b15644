"""A plan's price in words, and as it is kept for the report."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.plan.estimate import Estimate
from harness.plan.price import price
from harness.records.predicted import Ends, Prediction

if TYPE_CHECKING:
    from harness.commands.job import Job

_HOUR_SEC = 3600.0
_UNITS = (
    (90.0, 1.0, "s"),
    (5400.0, 60.0, "minutes"),
    (259200.0, _HOUR_SEC, "hours"),
    (math.inf, 86400.0, "days"),
)


def lines(job: "Job", devices: int = 1) -> list[str]:
    """Return what a plan is predicted to take, and from what, a line each.

    Args:
        job: the plan on this machine.
        devices: GPUs, each with as many runs side by side as the job has.
    """
    found = job.price if devices == 1 else price(job.plan, job.place(devices))
    beside = min(job.jobs, len(job.plan.runs))
    hours = ranged(found.device_sec * (1 / _HOUR_SEC), number)
    if job.device == "cpu":
        where, of, gpu = f"{beside} side by side", "core", ""
    else:
        where, of = f"{beside} on each of {devices} GPUs", "GPU"
        gpu = f"; of each GPU {ranged(found.gpu_gib, size)}"
    return [
        f"  predicted  {duration(found.wall_sec)}, {where}; {hours} {of}-hours",
        f"  memory     {ranged(found.rss_gib, size)}, {where}{gpu}",
        f"  disk       {ranged(found.disk, size)} in {job.runs_url or job.runs_dir}",
        f"  priced by  {found.source}",
        *(f"  note       {note}" for note in found.notes),
    ]


def prediction(job: "Job") -> Prediction:
    """Return what a run of each level is predicted to take now, for ``predicted.json``."""
    found = job.price
    levels = {
        level: {
            name: _ends(known)
            for name, known in (
                ("run_sec", cost.run_sec),
                ("peak_rss_gib", cost.rss_gib),
                ("peak_gpu_gib", cost.gpu_gib),
            )
            if known.value > 0
        }
        for level, cost in found.of_level.items()
    }
    return Prediction(job.device, job.jobs, found.source, levels)


def _ends(known: Estimate) -> Ends:
    value, low, high = (float(f"{end:.6g}") for end in (known.value, known.low, known.high))
    return value, low, high


def duration(sec: Estimate) -> str:
    """Return seconds with the ends of their interval, in the unit that suits them."""
    unit, name = next((unit, name) for below, unit, name in _UNITS if sec.value < below)
    return f"{ranged(sec * (1 / unit), number)} {name}"


def ranged(amount: Estimate, text: Callable[[float], str]) -> str:
    """Return an amount, and the ends of its interval where ``text`` tells them from it."""
    value, low, high = text(amount.value), text(amount.low), text(amount.high)
    return value if low == value == high else f"{value} ({low} to {high})"


def number(value: float) -> str:
    """Return a number with two digits, or all before the point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def size(gib: float) -> str:
    """Return GiB, or MiB where that is less than one."""
    return f"{gib:.1f} GiB" if gib >= 1 else f"{gib * 1024:.1f} MiB"
