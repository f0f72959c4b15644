"""What a plan will cost: hours, wall time, memory and disk, each with an interval.

A run's seconds are those of its steps, evaluations and checkpoints (``figures.py``), by a
calibration of this kind of machine, else by an earlier report of the same question, else by a
guess. The plan's wall time is that of its runs on so many places, each free place taking the
longest that is left.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.plan import calibration
from harness.plan.disk import run_gib
from harness.plan.earlier import earlier_costs
from harness.plan.estimate import Estimate, largest, total
from harness.plan.expand import Plan, Run
from harness.plan.figures import RunCost, run_cost
from harness.plan.guess import guess
from harness.plan.keeping import Keeping
from harness.spec.schema import Spec


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan's runs train.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs side by side on this machine's cores, or on each GPU.
        devices: GPUs; 1 for a CPU.
        threads: of each run.
        shared: how many runs share a core; 1 where each has its own.
        cache: where calibrations are kept, if anywhere.
        results: a results folder of the same question, if there may be one.
        keeping: when a run writes checkpoints.
    """

    device: str
    jobs: int
    devices: int = 1
    threads: int = 1
    shared: float = 1.0
    cache: Path | None = None
    results: Path | None = None
    keeping: Keeping = field(default_factory=Keeping)


@dataclass(frozen=True, slots=True)
class Price:
    """Predicted cost of a plan.

    Args:
        wall_sec: until the last run has ended.
        device_sec: of GPUs, or of cores, that are kept busy.
        rss_gib: peak memory of all runs that are side by side on one device.
        gpu_gib: the same on that GPU; 0 on a CPU.
        disk: GiB that the runs leave on disk.
        of_level: what a run of each level takes.
        run_sec: seconds of each run, in the plan's order.
        notes: what a user is to be told of files that were ignored.
    """

    wall_sec: Estimate
    device_sec: Estimate
    rss_gib: Estimate
    gpu_gib: Estimate
    disk: Estimate
    of_level: Mapping[str, RunCost]
    run_sec: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        """Expected wall time."""
        return self.wall_sec.value / 60

    @property
    def disk_gib(self) -> float:
        """What the runs leave on disk, rather too much than too little."""
        return self.disk.high

    @property
    def source(self) -> str:
        """Where the seconds are from, to be added to "from"."""
        return "; ".join(dict.fromkeys(cost.source for cost in self.of_level.values()))


def best_jobs(runs: int, cores: int) -> int:
    """Return how many one-thread runs side by side end soonest.

    Three runs on two cores end sooner at once, taking turns, than two and then one: no core idles.
    """
    return min(
        range(1, 2 * cores + 1),
        key=lambda jobs: (-(-runs // jobs) * max(1.0, min(jobs, runs) / cores), jobs),
    )


def longest_first(plan: Plan, found: Price) -> list[Run]:
    """Return a plan's runs in the order to begin them, equally long ones in the plan's.

    A long run that begins last has all other places wait for it; longest first, the last run ends
    after at most 4/3 of the least time that any order takes (Graham 1969).
    """
    seconds = dict(zip((run.name for run in plan.runs), found.run_sec, strict=True))
    return sorted(plan.runs, key=lambda run: -seconds[run.name])


def price(plan: Plan, place: Place) -> Price:
    """Predict a plan's cost."""
    notes: list[str] = []
    of_level = costs(plan, place, notes)
    every = [of_level[run.level].total_sec for run in plan.runs]
    side_by_side = min(place.jobs, len(plan.runs))
    busy = 1 / place.jobs if place.device == "cuda" else 1 / place.shared
    # A level's runs differ in their seeds alone.
    gib_of = {level: run_gib(plan.first_run(level).spec) for level in plan.levels}
    return Price(
        wall_sec=makespan(sorted(every, key=lambda sec: -sec.value), place.jobs * place.devices),
        device_sec=total(every) * (busy * (place.threads if place.device == "cpu" else 1)),
        rss_gib=largest(cost.rss_gib for cost in of_level.values()) * side_by_side,
        gpu_gib=largest(cost.gpu_gib for cost in of_level.values()) * side_by_side,
        disk=total(gib_of[run.level] for run in plan.runs),
        of_level=of_level,
        run_sec=tuple(sec.value for sec in every),
        notes=tuple(dict.fromkeys(notes)),
    )


def costs(plan: Plan, place: Place, notes: list[str]) -> dict[str, RunCost]:
    """Return what a run of each level takes, by the best there is.

    Args:
        notes: what a user is to be told is added here.
    """
    specs = {level: plan.first_run(level).spec for level in plan.levels}
    found = {level: _calibrated(spec, place, notes) for level, spec in specs.items()}
    guesses = {
        level: run_cost(spec, guess(spec, place.device, place.shared), place.keeping)
        for level, spec in specs.items()
        if found[level] is None
    }
    if guesses and place.results is not None:
        start = next(iter(guesses.values())).start_sec
        guesses |= earlier_costs(plan, place.results, place.device, place.jobs, start)
    return {level: found[level] or guesses[level] for level in plan.levels}


def _calibrated(spec: Spec, place: Place, notes: list[str]) -> RunCost | None:
    if place.cache is None:
        return None
    path = calibration.path_of(place.cache, spec, place.device, place.jobs, place.threads)
    figures, note = calibration.read(path, spec)
    notes += [note] if note else []
    return None if figures is None else run_cost(spec, figures, place.keeping)


def makespan(seconds: Sequence[Estimate], places: int) -> Estimate:
    """Return when the last run ends if each free place takes the next run.

    Longer runs never end sooner in all, so that the ends of the interval are those of all runs.
    """
    ends = zip(*((sec.value, sec.low, sec.high) for sec in seconds), strict=True)
    return Estimate(*(_makespan(end, places) for end in ends))


def _makespan(seconds: Sequence[float], places: int) -> float:
    free = [0.0] * min(places, len(seconds))
    for sec in seconds:
        heapq.heapreplace(free, free[0] + sec)
    return max(free)
