"""How does a report grow with the number of its runs? Whole commands, over generated records.

`harness report` and `harness plan` are timed as a user starts them, each in a process of its own.
Before that, what the report says is compared with what the generator wrote.
"""

from __future__ import annotations

import csv
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.bench import many_runs
from harness.bench.commands import seconds_of
from harness.bench.finding import Finding, Goal
from harness.plan.expand import Plan
from harness.report.canvas import GREY, figure, legend, look, plain_log, png

_RUNS = (100, 1000, 3000, 10_000)
_TURNS = 3
_MOST_SEC = 10.0
_WRITTEN = ("report", "plan")


@dataclass(frozen=True)
class Growth(Finding):
    """Seconds of whole commands.

    Args:
        seconds: of each turn, by the command and the number of runs.
    """

    seconds: Mapping[str, Mapping[int, tuple[float, ...]]]

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        report, plan = (self.seconds[name] for name in _WRITTEN)
        most = max(report)
        return (
            f"A report over {most} runs ({many_runs.Shape().rows} rows each) takes "
            f"{statistics.median(report[most]):.1f} s, and {self._slope():.2f} ms for each run "
            f"beyond {min(report)}; their plan takes {statistics.median(plan[most]):.2f} s."
        )

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The time of the longest report, and that its growth is linear."""
        report = self.seconds["report"]
        *_, before, most = sorted(report)
        low, high = min(report[most]), max(report[most])
        middle = statistics.median(report[most])
        earlier = statistics.median(report[before])
        ratio, least, largest = (sec / earlier for sec in (middle, low, high))
        bound = round(most / before, 2)
        what = f"a report over {most} runs / one over {before}"
        return (
            Goal(f"a report over {most} runs", middle, low, high, "at most", _MOST_SEC, "s"),
            Goal(what, ratio, least, largest, "at most", bound),
        )

    def csv(self) -> str:
        """A line a command that was timed."""
        lines = [
            f"{name},{runs},{sec!r}"
            for name, found in self.seconds.items()
            for runs, times in found.items()
            for sec in times
        ]
        return "\n".join(["command,runs,sec", *lines, ""])

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Seconds over runs, with the slope of what is linear."""
        caption = "Seconds of whole commands over the number of runs; dotted: a start and a slope"
        return {"report_growth.png": (caption, self._drawn())}

    def _slope(self) -> float:
        """Return milliseconds a run, between the smallest and the largest report."""
        report = self.seconds["report"]
        first, last = min(report), max(report)
        more = statistics.median(report[last]) - statistics.median(report[first])
        return 1000 * more / (last - first)

    def _drawn(self) -> bytes:
        drawing, [[axes]] = figure()
        for index, (name, found) in enumerate(self.seconds.items()):
            style = look(index)
            middle = [statistics.median(times) for times in found.values()]
            axes.plot(
                [*found],
                middle,
                color=style.color,
                marker=style.marker,
                label=f"harness {name}",
            )
            axes.fill_between(
                [*found],
                [min(times) for times in found.values()],
                [max(times) for times in found.values()],
                color=style.color,
                alpha=0.15,
                lw=0,
            )
        report = self.seconds["report"]
        start, begin = min(report), statistics.median(report[min(report)])
        linear = [begin + self._slope() / 1000 * (runs - start) for runs in report]
        axes.plot([*report], linear, color=GREY, linestyle=":", label="linear")
        axes.axhline(_MOST_SEC, color=GREY, lw=0.9, linestyle="--", label="goal")
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_log(axes, "x")
        plain_log(axes, "y")
        axes.set_xlabel("runs")
        axes.set_ylabel("s")
        legend(drawing, [*(f"harness {name}" for name in self.seconds), "linear", "goal"])
        return png(drawing)


def measure(device: str) -> Growth:
    """Write records of more and more runs, check their report, and time it.

    Raises:
        RuntimeError: if a report does not say what the records hold.
    """
    found: dict[str, dict[int, tuple[float, ...]]] = {name: {} for name in _WRITTEN}
    for runs in _RUNS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            spec, plan = many_runs.write(folder, runs)
            for command in _WRITTEN:
                times = []
                for turn in range(_TURNS):
                    results = ("--results", f"results-{turn}")  # nothing to compare with
                    times.append(seconds_of(folder, command, spec.name, *results))
                found[command][runs] = tuple(times)
            check(plan, folder / "results-0" / spec.stem / "quick" / "summary.csv")
    return Growth(found)


def check(plan: Plan, summary: Path) -> None:
    """Compare a summary's medians with those of what the generator wrote.

    Raises:
        RuntimeError: if they differ.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for run in plan.runs:
        last = {row.arm: row.value for row in many_runs.rows(run) if row.quantity == many_runs.FID}
        for arm, value in last.items():
            values.setdefault((run.level, arm), []).append(value)
    expected = {at: float(f"{statistics.median(those):.10g}") for at, those in values.items()}
    with summary.open() as file:
        lines = list(csv.DictReader(file))
    found = {(line["level"], line["arm"]): float(line["median"]) for line in lines}
    if found != expected:
        raise RuntimeError("a report over many runs does not say what their records hold")
