"""Runs side by side on this machine, each in a fresh process forked from a loaded one."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_int64
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from harness.errors import HarnessError, OutputError
from harness.launch.worker import UNWRITABLE, WAITING, Machine, check, ended, work
from harness.plan.expand import Run
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

_POLL_SEC = 0.25
_GRACE_SEC = 60.0
_ABORT_SEC = 5.0


@dataclass
class Running:
    """A run that is being trained."""

    run: Run
    folder: RunFolder
    process: ForkServerProcess
    beats: c_int64
    """Steps it has told of; ``worker.WAITING`` where another process trains the run."""
    since: float = field(default_factory=time.monotonic)
    moved: tuple[int, float] = (WAITING, 0.0)
    """Its beats when they last changed, and when that was."""
    stalled: str = ""
    """Why it was killed, if it was."""


def execute(
    runs: Sequence[Run], runs_dir: Path, machine: Machine, watch: Callable[[list[Running]], None]
) -> dict[str, Outcome]:
    """Train all runs that have not finished; return every run's outcome by its name.

    A run goes on from its newest checkpoint, where there is one. One that fails, diverges or
    stands still does not touch the others. On Ctrl-C the runs under way write a checkpoint and end
    as interrupted, and KeyboardInterrupt is raised.

    Args:
        watch: called several times a second with the runs under way.
    """
    context = _server()
    waiting = [run for run in runs if not ended(runs_dir / run.name)]
    active: list[Running] = []
    unwritten: dict[str, Outcome] = {}
    try:
        while waiting or active:
            while waiting and len(active) < machine.jobs:
                active.append(_start(context, waiting.pop(0), runs_dir, machine))
            time.sleep(_POLL_SEC)
            watch(active)
            _end_stalled(active, machine.keeping.stall_sec)
            for one in [one for one in active if not one.process.is_alive()]:
                active.remove(one)
                unwritten |= _bury(one)
    finally:
        _stop(active)  # none is left unless Ctrl-C or an error of our own came in between
    return dict(_outcomes(runs, runs_dir)) | unwritten


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


def _server() -> ForkServerContext:
    # Read when the server starts: a library's own threads would fight over the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.launch.preload"])
    return context


def _start(context: ForkServerContext, run: Run, runs_dir: Path, machine: Machine) -> Running:
    path = runs_dir / run.name
    beats = context.RawValue(c_int64, 0)
    process = context.Process(target=work, args=(run, path, machine, beats))
    process.start()
    return Running(run, RunFolder(path), process, beats)


def _end_stalled(active: Sequence[Running], stall_sec: float) -> None:
    """Kill what has told of no step for so long; where it stood is in its log."""
    now = time.monotonic()
    for one in active:
        beats = one.beats.value
        if beats != one.moved[0] or beats == WAITING:
            one.moved = (beats, now)
        elif now - one.moved[1] > stall_sec:
            os.kill(one.process.pid or 0, signal.SIGABRT)  # faulthandler writes all stacks down
            one.process.join(_ABORT_SEC)
            one.process.kill()
            one.process.join()
            one.stalled = f"no progress in {stall_sec:g} s: log.txt says where it stood"


def _bury(one: Running) -> dict[str, Outcome]:
    """See to the outcome of a process that has ended; return it where it cannot be written."""
    one.process.join()
    outcome = one.folder.outcome()
    # Whatever ends a process that has nothing left to do, its run has finished.
    finished = outcome is not None and outcome.status is Status.FINISHED
    if finished or (outcome is not None and not one.process.exitcode):
        return {}
    reason = one.stalled or f"the process ended with {_how(one.process)}"
    return _write_outcome(one, Status.FAILED, reason)


def _write_outcome(one: Running, status: Status, reason: str) -> dict[str, Outcome]:
    outcome = Outcome(status, reason, 0, time.monotonic() - one.since)
    if not one.folder.lock():
        return {}  # another process has the run, and will say how it ends
    try:
        one.folder.end(outcome)
    except OutputError:
        return {one.run.name: outcome}
    finally:
        one.folder.unlock()
    return {}


def _how(process: ForkServerProcess) -> str:
    code = process.exitcode or 0
    if code == UNWRITABLE:
        return f"exit code {code}: nothing more could be written; is the disk full?"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"signal {-code}, {name}{': out of memory?' if name == 'SIGKILL' else ''}"


def _stop(active: Sequence[Running]) -> None:
    """Have runs write a checkpoint and end; kill what takes too long over it."""
    deadline = time.monotonic() + _GRACE_SEC
    for one in active:
        one.process.terminate()
    try:
        for one in active:
            one.process.join(max(0.0, deadline - time.monotonic()))
    finally:  # a second Ctrl-C waits for none of them
        for one in active:
            if one.process.is_alive():
                one.process.kill()
                one.process.join()
            if one.folder.path.exists() and one.folder.outcome() is None:
                _write_outcome(one, Status.INTERRUPTED, "stopped by a signal")


def _outcomes(runs: Sequence[Run], runs_dir: Path) -> Iterator[tuple[str, Outcome]]:
    for run in runs:
        outcome = RunFolder(runs_dir / run.name).outcome()
        if outcome is not None:
            yield run.name, outcome
