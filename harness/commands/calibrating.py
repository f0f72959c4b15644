"""`harness calibrate`: measure what a plan's runs cost here, and hold predictions to what came."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.commands.job import Job
from harness.commands.pricing import lines
from harness.errors import RecordsError
from harness.plan import calibration
from harness.plan.estimate import Estimate
from harness.plan.expand import Run
from harness.plan.keeping import Keeping
from harness.plan.price import costs
from harness.records.files import write_atomically
from harness.report.frames import Results, collect, read
from harness.report.statistics import Spread
from harness.report.tables import TimingLine, timing
from harness.report.tabular import csv_text
from harness.report.verify import compare
from harness.report.wording import number, table

FILES = ("price.csv", "price.md")
_COLUMNS = (
    *("experiment", "tier", "level", "runs", "predicted_sec", "low_sec", "high_sec"),
    *("actual_sec", "actual_min_sec", "actual_max_sec", "actual_over_predicted"),
)
_WITHIN = 0.2
"""How far what comes may be from what was predicted, as a share of it."""
_DIGITS = 6
_AGAIN = "The runs were trained right after that."
_BEFORE = "The runs were trained before; nothing else of their results was used."


@dataclass(frozen=True, slots=True)
class Checked:
    """A level's prediction beside what its runs took, in seconds."""

    experiment: str
    tier: str
    level: str
    runs: int
    predicted: Estimate
    actual: Spread

    @property
    def ratio(self) -> float:
        """Actual over predicted."""
        return self.actual.median / self.predicted.value


def calibrate(job: Job, sec: float, times: int = 1) -> int:
    """Measure and keep what each kind of run of a plan costs here, and price it; return 0.

    Args:
        job: the plan on this machine.
        sec: about how long each kind is timed at a time.
        times: that all kinds are, one after another.

    Raises:
        HarnessError: if data, weights or the cache are not as they have to be.
    """
    begin = time.monotonic()
    for _ in range(times):
        kinds = _measured(job, sec)
    print(f"{len(kinds)} kinds of runs measured in {time.monotonic() - begin:.0f} s:")
    print("\n".join(f"  kept       {path}" for path in kinds))
    print("\n".join(lines(job)))
    return 0


def check(
    folders: Sequence[Path], out: Path, sec: float, times: int = 1, again: bool = False
) -> int:
    """Calibrate anew what results are of, and write predictions beside what their runs took.

    Args:
        folders: of results, made on this kind of machine.
        out: the folder of ``price.csv`` and ``price.md``, written anew after each folder.
        sec: about how long each kind of run is timed at a time.
        times: that all kinds are, one after another.
        again: train the runs again, for clocks of the same hour.

    Returns:
        0, or 1 where one is further off than 20 %.

    Raises:
        HarnessError: as ``calibrate``; if a folder holds no results with clocks.
    """
    jobs = {folder: _job_of(folder) for folder in folders}
    for job in [*jobs.values()] * times:
        _measured(job, sec)
    found: list[Checked] = []
    for folder, job in jobs.items():
        found += _checked(folder, job, again)
        records = ([*_record(line)] for line in found)
        write_atomically(out / FILES[0], csv_text(_COLUMNS, records, _DIGITS))
        write_atomically(out / FILES[1], _text(found, sec * times, again))
    print(_text(found, sec * times, again))
    return 0 if all(abs(line.ratio - 1) <= _WITHIN for line in found) else 1


def _measured(job: Job, sec: float) -> dict[Path, Run]:
    """Measure each kind of run once; return where that is kept."""
    from harness.launch.calibrate import calibrate
    from harness.launch.worker import Machine

    place = job.place()
    assert place.cache is not None
    kinds: dict[Path, Run] = {}
    for run in map(job.plan.first_run, job.plan.levels):
        path = calibration.path_of(place.cache, run.spec, place.device, job.jobs, job.threads)
        kinds.setdefault(path, run)
    beside = min(job.jobs, len(job.plan.runs))
    machine = Machine(job.device, beside, job.threads, place.cache, job.keeping)
    for path, run in kinds.items():
        print(f"{job.plan.experiment}: timing {run.name}, {beside} side by side", flush=True)
        calibration.write(path, calibrate(run, machine, sec))
    return kinds


def _job_of(folder: Path) -> Job:
    """Return a job of the runs of a results folder, as many side by side as there were."""
    results = read(folder)
    if not _clocked(results):
        raise RecordsError(f"{folder}: no run there has finished with its clocks recorded")
    beside = results.machine.get("jobs")
    device = str(results.machine.get("device", "cpu")).partition(":")[0]
    beside = beside if type(beside) is int and beside > 0 else None
    return Job.here(results.plan, device, beside, folder, folder, Keeping())


def _checked(folder: Path, job: Job, again: bool) -> Iterator[Checked]:
    results, plan = read(folder), job.plan
    # From the calibration alone: the results themselves would tell how they came out.
    priced = costs(plan, replace(job.place(), results=None), [])
    timed = _trained_again(job) if again else results
    if again:
        print(compare(timed, results).sentence, flush=True)
    for line in _clocked(timed):
        actual = line.costs["run_sec"]
        yield Checked(
            plan.experiment, plan.tier, line.level, line.n, priced[line.level].run_sec, actual
        )


def _clocked(results: Results) -> list[TimingLine]:
    return [line for line in timing(results) if "run_sec" in line.costs]


def _trained_again(job: Job) -> Results:
    """Train all runs of a plan, none of them sharing a trunk, and return their records."""
    with tempfile.TemporaryDirectory() as name:
        here = replace(job, runs_dir=Path(name), share=False)
        here.train(restart=False)
        return collect(job.plan, here.runs_dir)


def _record(line: Checked) -> Iterator[object]:
    yield from (line.experiment, line.tier, line.level, line.runs)
    yield from (line.predicted.value, line.predicted.low, line.predicted.high)
    yield from (line.actual.median, line.actual.low, line.actual.high, line.ratio)


def _tiers(found: Sequence[Checked]) -> list[float]:
    """Return actual over predicted of all runs of each question's tier."""
    sums: dict[tuple[str, str], list[float]] = {}
    for line in found:
        total = sums.setdefault((line.experiment, line.tier), [0.0, 0.0])
        total[0] += line.runs * line.actual.median
        total[1] += line.runs * line.predicted.value
    return [actual / predicted for actual, predicted in sums.values()]


def _text(found: Sequence[Checked], sec: float, again: bool) -> str:
    levels = sum(abs(line.ratio - 1) <= _WITHIN for line in found)
    tiers = _tiers(found)
    whole = sum(abs(ratio - 1) <= _WITHIN for ratio in tiers)
    inside = sum(line.predicted.contains(line.actual.median) for line in found)
    furthest = max(found, key=lambda line: abs(line.ratio - 1))
    head = ["experiment", "level", "predicted (s a run)", "interval", "actual", "ratio"]
    rows = [
        [
            *(f"{line.experiment}, {line.tier}", line.level, number(line.predicted.value)),
            f"{number(line.predicted.low)} to {number(line.predicted.high)}",
            f"{number(line.actual.median)} ({line.runs} runs)",
            f"{line.ratio:.2f}",
        ]
        for line in found
    ]
    return "\n".join(
        [
            "# Predicted beside actual",
            "",
            f"{whole} of {len(tiers)} tiers came out within {_WITHIN:.0%} of what was predicted, "
            f"all runs of one taken together: {min(tiers):.2f} to {max(tiers):.2f} times it. Of "
            f"their levels {levels} of {len(found)} did, {inside} inside the stated interval; the "
            f"furthest is {furthest.experiment} ({furthest.level}) with {furthest.ratio:.2f} times "
            f"its prediction. Every kind of run was calibrated for about {sec:g} s. "
            f"{_AGAIN if again else _BEFORE}",
            "",
            table(head, rows, words=2),
            "",
        ]
    )
