"""Runs side by side on this machine, each in a fresh process forked from a loaded one."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.errors import HarnessError, OutputError
from harness.interrupts import GRACE_SEC
from harness.launch.lease import held_elsewhere
from harness.launch.waiting import Waiting
from harness.launch.worker import LEFT, WAITING, Machine, Told, check, ended, work
from harness.plan.expand import Run
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

_POLL_SEC = 0.25
_ABORT_SEC = 5.0
_LOOKED_AWAY_SEC = 5.0
"""More than this between two looks was sleep of the whole machine, or a stop: no run's fault."""
_SERVER_LOST = 255
"""Exit code of a process whose server was killed; it notices, and ends by itself."""


@dataclass
class Running:
    """A run that is being trained."""

    run: Run
    folder: RunFolder
    process: BaseProcess
    told: Told
    since: float = field(default_factory=time.monotonic)
    seen: int = WAITING
    """Its beats at the last look."""
    still_sec: float = 0.0
    """How long they have stood still."""
    stalled: str = ""
    """Why it was killed, if it was."""
    riders: tuple[Run, ...] = ()
    """Runs that ride along on it, until they part."""

    @property
    def waiting(self) -> bool:
        """Whether another process trains the run, and this one waits for it."""
        return self.told.beats == WAITING


def execute(
    runs: Sequence[Run],
    runs_dir: Path,
    machine: Machine,
    watch: Callable[[list[Running]], None],
    share: bool = False,
) -> dict[str, Outcome]:
    """Train all runs that have not finished; return every run's outcome by its name.

    A run goes on from its newest checkpoint, where there is one. One that fails, diverges or
    stands still does not touch the others. On Ctrl-C the runs under way write a checkpoint and end
    as interrupted, and KeyboardInterrupt is raised.

    Args:
        watch: called several times a second with the runs under way.
        share: whether runs that begin alike are trained once up to where they part.
    """
    waiting = Waiting(runs, runs_dir, share)
    active: list[Running] = []
    unwritten: dict[str, Outcome] = {}
    last = time.monotonic()
    try:
        while waiting or active:
            while len(active) < machine.jobs and (due := waiting.take(_riding(active))):
                active.append(_start(*due, runs_dir, machine))
            connection.wait([one.process.sentinel for one in active], _POLL_SEC)
            watch(active)
            last, before = time.monotonic(), last
            _end_stalled(active, min(last - before, _LOOKED_AWAY_SEC), machine.keeping.stall_sec)
            for one in [one for one in active if not one.process.is_alive()]:
                active.remove(one)
                unwritten |= _bury(one)
    finally:
        _stop(active)  # none is left unless Ctrl-C or an error of our own came in between
    return dict(outcomes(runs, runs_dir)) | unwritten


def prepare(run: Run, machine: Machine) -> None:
    """Do once what every run needs, and find out whether it can be had.

    Raises:
        HarnessError: with the message of what is missing or broken.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    context = server()
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
        raise HarnessError(*problem.split("\n"))


def server() -> ForkServerContext:
    """Return what processes are forked from: it has loaded what they all need."""
    # Read when the server starts: a library's own threads would fight over the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.launch.at_once", "harness.launch.preload"])
    # A terminal's Ctrl-C reaches the server, too: it hears none before ``at_once`` is there.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
    return context


def _start(run: Run, riders: tuple[Run, ...], runs_dir: Path, machine: Machine) -> Running:
    path, context = runs_dir / run.name, server()
    told = context.RawValue(Told)
    process = context.Process(target=work, args=(run, path, machine, told, riders))
    process.start()
    return Running(run, RunFolder(path), process, told, riders=riders)


def _riding(active: Sequence[Running]) -> set[str]:
    return {rider.name for one in active for rider in one.riders}


def _end_stalled(active: Sequence[Running], passed_sec: float, stall_sec: float) -> None:
    """Kill what has told of no step for so long; where it stood is in its log."""
    for one in active:
        if one.waiting or one.told.beats != one.seen:
            one.seen, one.still_sec = one.told.beats, 0.0
            continue
        one.still_sec += passed_sec
        if one.still_sec > stall_sec:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.process.pid or 0, signal.SIGABRT)  # faulthandler writes all stacks
            one.process.join(_ABORT_SEC)
            one.process.kill()
            one.process.join()
            one.stalled = f"no progress in {stall_sec:g} s: log.txt says where it stood"


def _bury(one: Running) -> dict[str, Outcome]:
    """See to the outcome of a process that has ended; return it where it cannot be written."""
    one.process.join()
    code = one.process.exitcode
    if code == _SERVER_LOST:
        _wait_for_end(one, time.monotonic() + GRACE_SEC)
    if code == LEFT:
        return {one.run.name: Outcome(Status.INTERRUPTED, "another machine went on with it")}
    written = code in (0, _SERVER_LOST) and one.folder.outcome() is not None
    if written or ended(one.folder.path):
        return {}
    told_reason = one.told.reason.decode(errors="ignore")
    reason = one.stalled or told_reason or f"the process ended with {_how(one.process)}"
    return _write_outcome(one, Status.FAILED, reason)


def _write_outcome(one: Running, status: Status, reason: str) -> dict[str, Outcome]:
    outcome = Outcome(status, reason, 0, time.monotonic() - one.since)
    try:
        if one.folder.lock() and not held_elsewhere(one.folder.path):
            one.folder.end(outcome)
            return {}
    except OutputError:
        pass
    finally:
        one.folder.unlock()
    # It cannot be written, or another process has the run and will say how it ends.
    return {one.run.name: outcome}


def _wait_for_end(one: Running, deadline: float) -> None:
    """Wait until a process that tells of itself no more has left its run."""
    with contextlib.suppress(OutputError):
        one.folder.lock(max(0.0, deadline - time.monotonic()))
    one.folder.unlock()


def _how(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code == _SERVER_LOST:
        return "the process it was forked from, which was killed: out of memory?"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"signal {-code}, {name}{': out of memory?' if name == 'SIGKILL' else ''}"


def _stop(active: Sequence[Running]) -> None:
    """Have runs write a checkpoint and end; kill what takes too long over it."""
    deadline = time.monotonic() + GRACE_SEC
    for one in active:
        one.process.terminate()
    try:
        for one in active:
            one.process.join(max(0.0, deadline - time.monotonic()))
            if one.process.exitcode == _SERVER_LOST and not one.waiting:
                _wait_for_end(one, deadline)
    finally:  # a second Ctrl-C waits for none of them
        for one in active:
            if one.process.is_alive():
                one.process.kill()
                one.process.join()
            if one.folder.path.exists() and one.folder.outcome() is None:
                _write_outcome(one, Status.INTERRUPTED, "stopped by a signal")


def outcomes(runs: Sequence[Run], runs_dir: Path) -> Iterator[tuple[str, Outcome]]:
    """Yield how runs ended, by their names, as far as that is written."""
    for run in runs:
        outcome = RunFolder(runs_dir / run.name).outcome()
        if outcome is not None:
            yield run.name, outcome
