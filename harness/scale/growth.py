"""How do planner, store and report grow with the number of runs? On synthetic records.

The records are written by ``many_runs``, to the byte as runs write theirs. Each of planner, store,
report and verify is a process of its own, so that its peak memory is.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from harness.bench import many_runs
from harness.bench.commands import output_of_python
from harness.bench.finding import Finding
from harness.bench.many_runs import Shape
from harness.bench.report_growth import check
from harness.report.tabular import csv_text
from harness.report.wording import table
from harness.scale import operations

SEEDS, LEVELS = "twenty levels", "five seeds"
"""What stays as the runs become more."""
_RUNS = {SEEDS: (100, 1000, 10_000, 100_000), LEVELS: (100, 1000, 10_000)}
_TURNS = {100: 3, 1000: 3}
"""Of those that are over soon."""
_EVALUATIONS = 1
_LEAST_RUNS = 1000
"""Below, what does not depend on the runs is most of the time, and no part of the exponent."""


@dataclass(frozen=True, slots=True)
class Point:
    """One operation on so many runs.

    Args:
        shape: what stays as the runs become more.
        runs: synthetic ones.
        rows: of each run.
        operation: its name, after its process.
        turn: counts repetitions.
        sec: that it took.
        base_mib: memory of its process before the first operation.
        peak_mib: the most until its end, with the operations before it.
    """

    shape: str
    runs: int
    rows: int
    operation: str
    turn: int
    sec: float
    base_mib: float
    peak_mib: float


@dataclass(frozen=True)
class Growth(Finding):
    """Every point."""

    points: tuple[Point, ...]

    def of(self, shape: str, operation: str) -> dict[int, list[Point]]:
        """Return the turns of one operation by the number of runs."""
        found: dict[int, list[Point]] = {}
        for point in self.points:
            if (point.shape, point.operation) == (shape, operation):
                found.setdefault(point.runs, []).append(point)
        return found

    def exponent(self, shape: str, operation: str) -> float | None:
        """Return the slope of log seconds over log runs, from 1,000 runs on; None with one."""
        points = self.of(shape, operation).items()
        known = {n: _median(those) for n, those in points if n >= _LEAST_RUNS}
        if len(known) < 2:
            return None
        return float(np.polyfit(np.log([*known]), np.log([*known.values()]), 1)[0])

    @property
    def operations(self) -> list[str]:
        """Names of all operations, in their order."""
        return [*dict.fromkeys(point.operation for point in self.points)]

    @property
    def sentence(self) -> str:
        """The longest of each process, and the steepest."""
        most = max(point.runs for point in self.points)
        rows = self.points[0].rows
        slopes = {name: self.exponent(SEEDS, name) for name in self.operations}
        known = {name: slope for name, slope in slopes.items() if slope is not None}
        steepest = max(known, key=lambda name: known[name], default="")
        memory = max(point.peak_mib for point in self.points) / 1024
        report = self._sec(SEEDS, "report: collect", most) + self._sec(SEEDS, "report: write", most)
        text = (
            f"{most:,} synthetic runs of {rows} rows are planned in "
            f"{self._sum(SEEDS, 'planner', most):.1f} s, reported in {report:.0f} s and verified "
            f"in {self._sum(SEEDS, 'verify', most):.0f} s, with at most {memory:.1f} GiB of memory."
        )
        if steepest:
            text += f" The steepest growth is that of {steepest}, runs^{known[steepest]:.2f}."
        return text

    @property
    def details(self) -> str:
        """A table for each shape."""
        return "\n\n".join(self._table(shape) for shape in _RUNS if self._runs(shape))

    def csv(self) -> str:
        """A line a point."""
        return csv_text([field.name for field in fields(Point)], map(astuple, self.points))

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Time and memory over runs, a picture a shape."""
        from harness.scale import pictures

        names = {SEEDS: "growth.png", LEVELS: "growth_levels.png"}
        return {
            name: (
                f"Synthetic runs, {shape}: seconds and peak memory over runs, with the exponent "
                "from 1,000 runs on; the grey lines have slope 1",
                pictures.growth(self, shape, self.operations),
            )
            for shape, name in names.items()
            if self._runs(shape)
        }

    def _runs(self, shape: str) -> list[int]:
        return sorted({point.runs for point in self.points if point.shape == shape})

    def _sec(self, shape: str, operation: str, runs: int) -> float:
        return _median(self.of(shape, operation)[runs])

    def _sum(self, shape: str, process: str, runs: int) -> float:
        names = (name for name in self.operations if name.startswith(f"{process}: "))
        return sum(self._sec(shape, name, runs) for name in names)

    def _table(self, shape: str) -> str:
        runs = self._runs(shape)
        head = [f"seconds, {shape}", *(f"{n:,} runs" for n in runs), "exponent", "peak (MiB)"]
        lines = []
        for name in self.operations:
            points, slope = self.of(shape, name), self.exponent(shape, name)
            times = [f"{_median(points[n]):.3g}" if n in points else "" for n in runs]
            peak = f"{max(point.peak_mib for point in points[runs[-1]]):.0f}"
            lines.append([name, *times, "" if slope is None else f"{slope:.2f}", peak])
        return table(head, lines)


def measure(folder: Path) -> Growth:
    """Write records of more and more runs, and time what is done with them.

    Raises:
        RuntimeError: if a report does not say what the records hold, or does not verify.
    """
    found: list[Point] = []
    for shape, sizes in _RUNS.items():
        for runs in sizes:
            for turn in range(_TURNS.get(runs, 1)):
                found += _points(shape, runs, turn)
                print(f"  {shape}, {runs} runs, turn {turn + 1}: done", flush=True)
    return Growth(tuple(found))


def read(text: str) -> Growth:
    """Return what ``Growth.csv`` wrote."""
    return Growth(
        tuple(
            Point(
                row["shape"],
                int(row["runs"]),
                int(row["rows"]),
                row["operation"],
                int(row["turn"]),
                float(row["sec"]),
                float(row["base_mib"]),
                float(row["peak_mib"]),
            )
            for row in csv.DictReader(io.StringIO(text))
        )
    )


def divided(shape: str, runs: int) -> Shape:
    """Return how so many runs divide into levels and seeds."""
    fades = 4
    return Shape(_EVALUATIONS, 5 if shape == SEEDS else runs // (5 * fades), fades)


def _points(shape: str, runs: int, turn: int) -> Iterator[Point]:
    divides = divided(shape, runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, plan = many_runs.write(folder, runs, divides)
        for process in operations.PROCESSES:
            text = output_of_python(folder, "-m", operations.__name__, process, name)
            for told in map(json.loads, text.splitlines()):
                operation = f"{process}: {told.pop('operation')}"
                yield Point(shape, runs, divides.rows, operation, turn, **told)
        check(plan, operations.results_summary(folder))


def _median(points: Sequence[Point]) -> float:
    return statistics.median(point.sec for point in points)
