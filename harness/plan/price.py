"""What a plan will cost: minutes and disk, from the networks' arithmetic and measured rates.

A device is two numbers: how fast it multiplies, and what a training step costs whatever its size.
Where an earlier report of the same question stands in results/, its measured seconds take their
place.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.plain_files import NoText, read_text
from harness.plan.expand import Plan
from harness.plan.film import film_gib
from harness.plan.work import parameters, training_macs
from harness.spec.schema import Evaluate, Spec, rebuilt_arms
from harness.spec.vocabulary import PATH_METRICS


@dataclass(frozen=True, slots=True)
class Rates:
    """A device's speed.

    Args:
        gmacs_per_sec: thousand million multiply-adds a second in training, all threads of a run.
        step_sec: seconds of a training step that do not depend on its size.
        extract_images_per_sec: images a second through generator and extractor.
        start_sec: seconds until a run's first step.
        measured: whether these were measured with this harness.
    """

    gmacs_per_sec: float
    step_sec: float
    extract_images_per_sec: float
    start_sec: float
    measured: bool


RATES = {
    # A fit to training steps timed by hand on two 2.5 GHz cores: a first guess for other machines.
    "cpu": Rates(24.0, 0.024, 5000.0, 3.0, True),
    # From published peak rates and launch counts, not measured with this harness.
    "cuda": Rates(10000.0, 0.015, 3000.0, 8.0, False),
}
_GIB_PER_PARAMETER = 4 / 2**30
_LARGEST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Price:
    """Predicted cost of a plan.

    Args:
        minutes: wall time of all runs, ``jobs`` at a time.
        run_sec: seconds of each run, in the plan's order.
        disk_gib: what the runs leave on disk.
        source: where the rates come from.
    """

    minutes: float
    run_sec: tuple[float, ...]
    disk_gib: float
    source: str


def best_jobs(runs: int, cores: int) -> int:
    """Return how many one-thread runs side by side end soonest.

    Three runs on two cores end sooner at once, taking turns, than two and then one: no core idles.
    """
    return min(
        range(1, 2 * cores + 1),
        key=lambda jobs: (-(-runs // jobs) * max(1.0, min(jobs, runs) / cores), jobs),
    )


def price(
    plan: Plan, device: str, jobs: int, shared: float = 1.0, earlier: Path | None = None
) -> Price:
    """Predict a plan's cost.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs that train side by side.
        shared: how many of them share a core.
        earlier: a results folder of the same question, if there is one.
    """
    rates = RATES[device]
    # A level's runs differ in their seeds alone.
    of_level = {level: plan.first_run(level).spec for level in plan.levels}
    sec_of = {level: shared * _run_sec(spec, rates) for level, spec in of_level.items()}
    gib_of = {level: _disk_gib(spec) for level, spec in of_level.items()}
    run_sec = tuple(sec_of[run.level] for run in plan.runs)
    source = f"{device}'s measured rates" if rates.measured else f"{device}'s rates, not measured"
    measured = None if earlier is None else _measured_run_sec(earlier)
    if measured is not None and earlier is not None:
        factor = measured / (sum(run_sec) / len(run_sec))
        run_sec = tuple(sec * factor for sec in run_sec)
        source = f"the runs reported in {earlier}"
    minutes = _makespan(run_sec, jobs) / 60
    disk = sum(gib_of[run.level] for run in plan.runs)
    return Price(minutes, run_sec, disk, source)


def training_cost(spec: Spec, images_shown: int) -> float:
    """Return the share of a run's training work, in [0, 1], done after ``images_shown``."""
    rates = RATES["cpu"]
    return _train_sec(spec, rates, images_shown) / _train_sec(spec, rates, spec.total_images)


def _train_sec(spec: Spec, rates: Rates, images_shown: int) -> float:
    sec = 0.0
    for scale, images, iterations in spec.growth.segments(images_shown):
        work = training_macs(spec, scale) / 1e9
        sec += images * work / rates.gmacs_per_sec + iterations * rates.step_sec
    return sec


def _run_sec(spec: Spec, rates: Rates) -> float:
    evaluations = spec.kimg / spec.evaluate.every_kimg
    arms = evaluations * (1 + len(spec.observers.ema)) + len(rebuilt_arms(spec))
    drawn = arms * _images_drawn(spec.evaluate)
    training = _train_sec(spec, rates, spec.total_images)
    return rates.start_sec + training + drawn / rates.extract_images_per_sec


def _images_drawn(evaluate: Evaluate) -> int:
    """Return how many images an arm is measured on at once; a step of a path has two."""
    paths = len(PATH_METRICS.intersection(evaluate.metrics))
    scored = evaluate.fake_images if paths < len(evaluate.metrics) else 0
    return scored + 2 * evaluate.pairs * paths


def _makespan(seconds: Sequence[float], jobs: int) -> float:
    """Return when the last run ends if each free place takes the next run."""
    free = [0.0] * min(jobs, len(seconds))
    for sec in seconds:
        place = free.index(min(free))
        free[place] += sec
    return max(free)


def snapshots(spec: Spec) -> int:
    """Return how many snapshots of each average a post-hoc EMA leaves behind in a run."""
    posthoc = spec.observers.posthoc
    if posthoc is None:
        return 0
    iterations = spec.growth.iterations(spec.total_images)
    return min(iterations, -(-spec.total_images // posthoc.every_images))


def snapshots_gib(spec: Spec) -> float:
    """Return the size of a run's snapshots, of both averages."""
    return 2 * snapshots(spec) * parameters(spec)[0] * _GIB_PER_PARAMETER


def _disk_gib(spec: Spec) -> float:
    generator, critic = parameters(spec)
    shadows = len(spec.observers.ema) + (2 if spec.observers.posthoc else 0)
    weights = ((1 + shadows) * generator + critic) * _GIB_PER_PARAMETER
    return weights + snapshots_gib(spec) + film_gib(spec)


def _measured_run_sec(results: Path) -> float | None:
    try:
        text = read_text(results / "timing.csv", _LARGEST_BYTES)
        runs = [float(row["run_sec"]) for row in csv.DictReader(io.StringIO(text))]
    except (NoText, KeyError, TypeError, ValueError, csv.Error):
        return None
    return sum(runs) / len(runs) if runs and all(0 < sec < 1e12 for sec in runs) else None
