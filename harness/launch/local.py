"""Runs side by side on this machine, each in a fresh process forked from a loaded one."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from harness.errors import HarnessError
from harness.launch.worker import check, work
from harness.plan.expand import Run
from harness.records.store import RunFolder, read_json
from harness.records.types import Outcome, Status

_POLL_SEC = 0.25
_GRACE_SEC = 20.0


@dataclass(frozen=True)
class Machine:
    """How this machine is used.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs at a time.
        threads: threads of each.
        cache_dir: where prepared images and reference statistics are kept.
    """

    device: str
    jobs: int
    threads: int
    cache_dir: Path


@dataclass
class Running:
    """A run that is being trained."""

    run: Run
    folder: RunFolder
    process: ForkServerProcess
    since: float = field(default_factory=time.monotonic)


def execute(
    runs: Sequence[Run], runs_dir: Path, machine: Machine, watch: Callable[[list[Running]], None]
) -> dict[str, Outcome]:
    """Train all runs that have not finished; return every run's outcome by its name.

    A run that fails or diverges does not touch the others. On Ctrl-C the runs under way end as
    interrupted, and KeyboardInterrupt is raised.

    Args:
        watch: called several times a second with the runs under way.
    """
    context = _server()
    waiting = [run for run in runs if not finished(runs_dir / run.name)]
    active: list[Running] = []
    try:
        while waiting or active:
            while waiting and len(active) < machine.jobs:
                active.append(_start(context, waiting.pop(0), runs_dir, machine))
            time.sleep(_POLL_SEC)
            watch(active)
            active = [one for one in active if not _ended(one)]
    finally:
        _stop(active)  # none is left unless Ctrl-C or an error of our own came in between
    return dict(_outcomes(runs, runs_dir))


def prepare(run: Run, machine: Machine) -> None:
    """Do once what every run needs, and find out whether it can be had.

    Raises:
        HarnessError: with the message of what is missing or broken.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    context = _server()
    process = context.Process(target=check, args=(run, machine.device, machine.cache_dir, there))
    process.start()
    there.close()
    try:
        problem = here.recv()
    except EOFError:
        process.join()
        problem = f"preparing the data ended with {_how(process)}"
    except KeyboardInterrupt:
        process.terminate()
        raise
    finally:
        process.join()
    if problem:
        raise HarnessError(problem)


def finished(path: Path) -> bool:
    """Return whether a run's folder holds a finished run.

    Raises:
        RecordsError: if a newer harness wrote it.
    """
    machine = path / "machine.json"
    if os.path.lexists(machine):
        read_json(machine)
    outcome = RunFolder(path).outcome()
    return outcome is not None and outcome.status is Status.FINISHED


def _server() -> ForkServerContext:
    # Read when the server starts: a library's own threads would fight over the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.launch.preload"])
    return context


def _start(context: ForkServerContext, run: Run, runs_dir: Path, machine: Machine) -> Running:
    path = runs_dir / run.name
    process = context.Process(
        target=work,
        args=(run, path, machine.device, machine.threads, machine.jobs, machine.cache_dir),
    )
    process.start()
    return Running(run, RunFolder(path), process)


def _ended(one: Running) -> bool:
    if one.process.is_alive():
        return False
    one.process.join()
    if one.process.exitcode or one.folder.outcome() is None:
        sec = time.monotonic() - one.since
        one.folder.end(
            Outcome(Status.FAILED, f"the process ended with {_how(one.process)}", 0, sec)
        )
    return True


def _how(process: ForkServerProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"signal {-code}, {name}{': out of memory?' if name == 'SIGKILL' else ''}"


def _stop(active: Sequence[Running]) -> None:
    deadline = time.monotonic() + _GRACE_SEC
    for one in active:
        one.process.terminate()
    for one in active:
        one.process.join(max(0.0, deadline - time.monotonic()))
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        if one.folder.outcome() is None and one.folder.path.exists():
            one.folder.end(Outcome(Status.INTERRUPTED, "stopped by a signal"))


def _outcomes(runs: Sequence[Run], runs_dir: Path) -> Iterator[tuple[str, Outcome]]:
    for run in runs:
        outcome = RunFolder(runs_dir / run.name).outcome()
        if outcome is not None:
            yield run.name, outcome
