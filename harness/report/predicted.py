"""What runs were predicted to take beside what they took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from harness.plan.expand import ONLY_LEVEL
from harness.records.predicted import Ends, of_run
from harness.report.frames import Results
from harness.report.tables import costs_of_run
from harness.report.text import Block, Table, code, outside
from harness.report.wording import decimals, number

_ROWS: Mapping[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "run_sec": ("s a run", fmean),
    "peak_rss_gib": ("GiB at most", max),
    "peak_gpu_gib": ("GiB at most on the GPU", max),
}
"""What is shown of a level, and which of its runs' values is the level's."""


class _Whole(NamedTuple):
    """A run that was trained whole, what was predicted for it when it began, and what came."""

    level: str
    predicted: Mapping[str, Ends]
    actual: Mapping[str, float]


def beside_actual(results: Results) -> list[Block]:
    """Return a table of what was predicted and what came; nothing where nothing was predicted.

    Runs count that have finished and were never stopped: one that went on elsewhere, or did work
    twice, is not the run that was priced.
    """
    runs = _whole(results)
    if not runs:
        return []
    rows = [
        [_named(level), *_row(of_level, name)]
        for level in dict.fromkeys(run.level for run in runs)
        for of_level in [[run for run in runs if run.level == level]]
        for name in _ROWS
        if _shared(of_level, name)
    ]
    head = ["level", "of", "predicted", "interval", "actual", "actual / predicted"]
    return [Table(head, rows, words=2), _told(results, runs)]


def _whole(results: Results) -> list[_Whole]:
    stopped = {str(place["run"]) for place in results.machine.get("resumed", ())}
    columns = (results.outcomes[name] for name in ("run", "level", "seed"))
    runs = [
        _Whole(level, of_run(results.predicted, run, level), costs_of_run(results, level, seed))
        for run, level, seed in zip(*columns, strict=True)
        if seed in results.finished[level] and run not in stopped
    ]
    return [run for run in runs if run.predicted.keys() & run.actual.keys()]


def _shared(runs: Sequence[_Whole], name: str) -> list[tuple[Ends, float]]:
    """Return (predicted, actual) of the runs that have both."""
    both = (run for run in runs if name in run.predicted and name in run.actual)
    return [(run.predicted[name], run.actual[name]) for run in both]


def _row(runs: Sequence[_Whole], name: str) -> list[str]:
    unit, over = _ROWS[name]
    predicted, actual = zip(*_shared(runs, name), strict=True)
    value, low, high = (over([ends[part] for ends in predicted]) for part in range(3))
    came = over(actual)
    places = decimals([high], 3)
    return [
        f"{unit}, {len(actual)} runs",
        number(value, places),
        f"{number(low, places)} to {number(high, places)}",
        number(came, places) + ("" if low <= came <= high else ", outside"),
        f"{came / value:.2f}" if value else "",
    ]


def _told(results: Results, runs: Sequence[_Whole]) -> str:
    """Say what all runs took together, what that was predicted from, and which runs count."""
    seconds = _shared(runs, "run_sec")
    hours = [sum(ends[part] for ends, _ in seconds) / 3600 for part in range(3)]
    came = sum(actual for _, actual in seconds) / 3600
    places = decimals([*hours, came], 3)
    value, low, high, came_text = (number(n, places) for n in (*hours, came))
    together = (
        f"Together {came_text} hours of runs, predicted {value} ({low} to {high}). "
        if len(seconds) > 1
        else ""
    )
    sources = dict.fromkeys(
        f"{outside(one.source)}, {one.jobs} side by side" for one in results.predicted
    )
    every = len(results.outcomes["run"])
    left = "" if len(runs) == every else f" {len(runs)} of {every} runs count: those trained whole."
    return f"{together}Predicted when they began, from {'; '.join(sources)}.{left}"


def _named(level: str) -> str:
    return "all" if level == ONLY_LEVEL else code(level)
