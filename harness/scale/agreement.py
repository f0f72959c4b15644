"""Does the simulation do what mathematics says where mathematics can say it?"""

from __future__ import annotations

import csv
import io
import math
import random
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from harness.bench.finding import Finding
from harness.report.tabular import csv_text
from harness.scale.closed_forms import (
    best_interval_sec,
    daly_sec,
    expected_sec,
    list_bound_sec,
    lower_bound_sec,
    young_sec,
)
from harness.scale.cluster import Cluster
from harness.scale.simulator import ORDERS, simulate
from harness.scale.workloads import DIGITS, Task

_SEEDS = 600
_ERRORS = 4.0
"""Standard errors that a mean may lie from what is expected."""
_EXACT = 1e-9
FAILING = Cluster(
    1,
    gpus_per_node=1,
    mtbf_sec=3600.0,
    repair_sec=300.0,
    write_sec_per_gib=30.0,
    read_sec_per_gib=10.0,
    start_sec=20.0,
    resume_sec=5.0,
)
LONG = Task(36_000.0, 36_000.0, 2.0)
INTERVALS = "one GPU that fails, a checkpoint every "
_STRETCHES = (300, 120, 60, 50, 40, 20, 10, 4, 2)
"""In how many the run is cut by its checkpoints."""


@dataclass(frozen=True, slots=True)
class Check:
    """A simulated number beside the closed form.

    Args:
        what: is compared.
        simulated: seconds; a mean where chance plays.
        expected: seconds, by the closed form.
        low: seconds that the simulated may not lie below.
        high: nor above.
    """

    what: str
    simulated: float
    expected: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the simulated lies between."""
        return self.low <= self.simulated <= self.high


@dataclass(frozen=True)
class Agreement(Finding):
    """Every check."""

    checks: tuple[Check, ...]

    @property
    def sentence(self) -> str:
        """The finding, with what fails, if anything does."""
        failed = [check.what for check in self.checks if not check.holds]
        best = self.best_sec
        write, mean = LONG.checkpoint_gib * FAILING.write_sec_per_gib, FAILING.mtbf_sec
        text = (
            f"The simulation agrees with the closed form in {len(self.checks) - len(failed)} of "
            f"{len(self.checks)} cases. Of the intervals that were simulated, {best:.0f} s between "
            f"checkpoints ends soonest; the best of all is {best_interval_sec(write, mean):.0f} s, "
            f"by Daly {daly_sec(write, mean):.0f} s, by Young {young_sec(write, mean):.0f} s."
        )
        return f"{text} It does not in: {'; '.join(failed)}." if failed else text

    @property
    def best_sec(self) -> float:
        """The interval with the shortest mean makespan."""
        return min(self.intervals, key=lambda sec: self.intervals[sec].simulated)

    @property
    def intervals(self) -> Mapping[float, Check]:
        """Checks of one GPU that fails, by the seconds between two checkpoints."""
        return {
            float(check.what.removeprefix(INTERVALS).removesuffix(" s")): check
            for check in self.checks
            if check.what.startswith(INTERVALS)
        }

    def csv(self) -> str:
        """A line a check."""
        return csv_text([field.name for field in fields(Check)], map(astuple, self.checks), DIGITS)

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """The makespan over the interval between checkpoints."""
        from harness.scale.pictures import best_interval

        caption = (
            "One GPU that fails once an hour: the mean of many simulations (with "
            f"{_ERRORS:g} standard errors) and the closed form, over the interval between "
            "checkpoints"
        )
        return {"agreement.png": (caption, best_interval(self.intervals))}


def measure(folder: Path) -> Agreement:
    """Simulate every case; nothing of ``folder`` is needed."""
    return Agreement((*_equal_runs(), *_lists(), *_dispatched(), *_stored(), *_failing()))


def read(text: str) -> Agreement:
    """Return what ``Agreement.csv`` wrote."""
    rows = csv.DictReader(io.StringIO(text))
    return Agreement(
        tuple(Check(row.pop("what"), *map(float, row.values())) for row in map(dict, rows))
    )


def failing(every_sec: float, seeds: int) -> Check:
    """Return the mean makespan of one run on one GPU that fails, beside what is expected."""
    cluster = replace(FAILING, checkpoint_every_sec=every_sec)
    found = [simulate(cluster, [LONG], seed=seed).makespan_sec for seed in range(seeds)]
    mean, expected = statistics.fmean(found), expected_sec(cluster, LONG)
    reach = _ERRORS * statistics.stdev(found) / math.sqrt(seeds)
    what = f"{INTERVALS}{every_sec:g} s"
    return Check(what, mean, expected, expected - reach, expected + reach)


def _failing() -> Iterator[Check]:
    return (failing(LONG.work_sec / stretches, _SEEDS) for stretches in _STRETCHES)


def _equal_runs() -> Iterator[Check]:
    for runs, gpus in ((1, 1), (7, 7), (64, 8), (65, 8), (1000, 64), (1000, 1024)):
        task = Task(100.0, 100.0)
        found = simulate(Cluster(gpus), [task] * runs).makespan_sec
        what = f"{runs} equal runs on {gpus} GPUs: ceil(n / m) t"
        yield _exact(what, found, math.ceil(runs / gpus) * 100.0)


def _lists() -> Iterator[Check]:
    for gpus in (2, 64, 256):
        draws = random.Random(gpus)
        sizes = [draws.expovariate(1 / 1000) for _ in range(20 * gpus)]
        tasks = [Task(size, size) for size in sizes]
        most = list_bound_sec(tasks, gpus)
        for order in ORDERS:
            found = simulate(Cluster(gpus), tasks, order).makespan_sec
            what = f"{len(tasks)} runs on {gpus} GPUs, {order}: Graham's bound"
            yield Check(what, found, most, lower_bound_sec(tasks, gpus), most)


def _dispatched() -> Iterator[Check]:
    for runs, service in ((500, 2.0), (2000, 0.5)):
        tasks = [Task(60.0, 60.0)] * runs
        found = simulate(Cluster(256, dispatch_sec=service), tasks).makespan_sec
        what = f"{runs} short runs, {service:g} s to begin one: n s + t"
        yield _exact(what, found, runs * service + 60.0)


def _stored() -> Iterator[Check]:
    """Runs begun together stand in line once, or at every checkpoint where that takes longer."""
    every, stretches = 100.0, 10
    for gpus, takes in ((16, 2.0), (64, 5.0)):
        cluster = Cluster(gpus, checkpoint_every_sec=every, storage_gib_per_sec=1 / takes)
        tasks = [Task(every * stretches, every * stretches, 1.0)] * gpus
        cycle = max(every + takes, gpus * takes)
        expected = every + gpus * takes + (stretches - 2) * cycle + every
        what = f"{gpus} runs, {takes:g} s of the storage for a checkpoint: the line at the storage"
        yield _exact(what, simulate(cluster, tasks).makespan_sec, expected)


def _exact(what: str, simulated: float, expected: float) -> Check:
    reach = _EXACT * expected
    return Check(what, simulated, expected, expected - reach, expected + reach)
