"""What planner, store and report do with many runs, timed in a process of its own.

``python -m harness.scale.operations planner FOLDER`` prints a line of JSON for each operation on
the runs that ``many_runs.write`` left in the folder.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.bench import many_runs
from harness.commands.job import Job, without_collector
from harness.plan.expand import Plan, expand
from harness.plan.keeping import Keeping
from harness.records.machine import describe
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import load

NEW_RUNS = 100
Operation = tuple[str, Callable[[], object]]
"""What it is called, and what is done."""


def peak_mib() -> float:
    """Return the most memory that this process has had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kib] = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kib) / 1024


def planner(folder: Path) -> Iterator[Operation]:
    """Plan the runs, as ``harness plan`` does, and name them."""
    path = folder / "many.yaml"
    held: list[Plan] = []
    yield "load and expand", lambda: held.append(_plan(path))
    yield "names", lambda: [run.name for run in held[0].runs]
    yield "price and describe", lambda: _job(held[0], folder).describe()


def store(folder: Path) -> Iterator[Operation]:
    """Read all runs back, take and leave each, and open a few more beside them."""
    plan = _plan(folder / "many.yaml")
    runs_dir = _runs_dir(folder)
    folders = [RunFolder(runs_dir / run.name) for run in plan.runs]
    rows = [*many_runs.rows(plan.runs[0])]
    settings, machine = plan.runs[0].settings, describe("cpu", "", 1)

    def locks() -> None:
        for one in folders:
            one.lock()
            one.unlock()

    def new_runs() -> None:
        for number in range(NEW_RUNS):
            new = RunFolder(runs_dir / f"new-{number}")
            new.path.mkdir()
            new.lock()
            new.begin(settings, machine)
            new.append(rows)
            new.end(Outcome(Status.FINISHED))
            new.unlock()

    yield "rows", lambda: [len(one.columns().value) for one in folders]
    yield "outcomes", lambda: [one.outcome() for one in folders]
    yield "locks", locks
    yield f"{NEW_RUNS} new runs", new_runs


def report(folder: Path) -> Iterator[Operation]:
    """Collect the runs' records, and write tables, figures, page and lock."""
    from harness.report.frames import Results, collect
    from harness.report.write import write

    plan, held = _plan(folder / "many.yaml"), list[Results]()
    yield "collect", lambda: held.append(collect(plan, _runs_dir(folder)))
    yield "write", lambda: write(held[0], _runs_dir(folder), _results_dir(folder))


def verify(folder: Path) -> Iterator[Operation]:
    """Rebuild every table of the report, and hold every file to its lock."""
    from harness.report.verify import check_tables

    def check() -> None:
        if found := check_tables(_results_dir(folder)):
            raise RuntimeError(f"a report that was just written does not verify: {found[0]}")

    yield "verify", check


PROCESSES: Mapping[str, Callable[[Path], Iterator[Operation]]] = {
    "planner": planner,
    "store": store,
    "report": report,
    "verify": verify,
}


def results_summary(folder: Path) -> Path:
    """Return where ``report`` leaves the summary."""
    return _results_dir(folder) / "summary.csv"


def main(name: str, folder: Path) -> None:
    """Time a process's operations, and print what each took."""
    base = peak_mib()
    with without_collector():
        for operation, action in PROCESSES[name](folder):
            begin = time.perf_counter()
            action()
            sec = time.perf_counter() - begin
            told: dict[str, Any] = {"operation": operation, "sec": sec}
            print(json.dumps(told | {"base_mib": base, "peak_mib": peak_mib()}), flush=True)


def _plan(path: Path) -> Plan:
    return expand(path.stem, "quick", load(path))


def _job(plan: Plan, folder: Path) -> Job:
    return Job.here(plan, "cpu", 2, folder / "runs", folder / "results", Keeping())


def _runs_dir(folder: Path) -> Path:
    return folder / "runs" / "many" / "quick"


def _results_dir(folder: Path) -> Path:
    return folder / "results" / "many" / "quick"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
