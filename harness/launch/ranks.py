"""Runs trained one after another by all the processes that torchrun started."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from harness.engine.peers import Peers
from harness.errors import HarnessError, OutputError
from harness.interrupts import Interrupts
from harness.launch.local import Running
from harness.launch.worker import Machine, Told, ended, outcome_of, prepare, print_to, wait_for
from harness.plan.expand import Run
from harness.ranks.answers import on_main
from harness.records.files import writing
from harness.records.silent import SilentFolder
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

Watch = Callable[[list[Running]], None]
_LOOK_SEC = 1.0
_LOOKED_AWAY_SEC = 5.0


def warm(run: Run, machine: Machine) -> None:
    """Have the main process prepare what all runs read, while the others wait.

    Raises:
        HarnessError: with the message of what is missing or broken.
    """
    on_main(lambda: prepare(run, machine.device, machine.cache_dir))


def execute(
    runs: Sequence[Run], runs_dir: Path, machine: Machine, peers: Peers, watch: Watch
) -> dict[str, Outcome]:
    """Train the runs one after another; return how each ended, by its name.

    A run goes on from its newest checkpoint, where there is one. One that fails or diverges, as it
    does in all processes alike, does not touch the others.

    Args:
        watch: called each second with the run under way, in the main process.

    Raises:
        KeyboardInterrupt: in every process, where one was asked to end.
        HarnessError: if other processes have ended, or stand still.
    """
    found: dict[str, Outcome] = {}
    for run in runs:
        try:
            outcome = _train(run, runs_dir / run.name, machine, peers, watch)
        except HarnessError as error:  # met, and heard of, before it began
            outcome = Outcome(Status.FAILED, str(error))
        if peers.lost:
            raise HarnessError(
                f"{run.name}: other processes of the run have ended, or stand still "
                f"({outcome.reason}); the same command goes on from its checkpoint"
            )
        if outcome.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        found[run.name] = outcome
    return found


def _train(run: Run, path: Path, machine: Machine, peers: Peers, watch: Watch) -> Outcome:
    told, interrupts = Told(), Interrupts()
    folder = RunFolder(path) if peers.is_main else SilentFolder(path)
    one = Running(run, folder, multiprocessing.current_process(), told)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    with _handlers_kept(), _printing_to(path / "log.txt", peers):
        interrupts.install()
        earlier = on_main(lambda: _taken(folder, told))
        if earlier is not None:
            return earlier
        # Where another one stands still, the main one waits for it.
        looks = _watched(one, machine.keeping.stall_sec, watch) if peers.is_main else nullcontext()
        with looks:
            outcome = outcome_of(run, folder, machine, interrupts, told, peers)
        return _ended(folder, outcome)


def _ended(folder: RunFolder, outcome: Outcome) -> Outcome:
    try:
        folder.end(outcome)
    except OutputError as error:
        return Outcome(Status.FAILED, outcome.reason or str(error), outcome.iteration, outcome.sec)
    finally:
        folder.unlock()
    return outcome


def _taken(folder: RunFolder, told: Told) -> Outcome | None:
    """Take a run as soon as no one else trains it; return its outcome if there is no more to do."""
    wait_for(folder, told)
    if not ended(folder.path):
        return None
    folder.unlock()
    return folder.outcome()


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put back what the process does on a signal."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _printing_to(log: Path, peers: Peers) -> Iterator[None]:
    """Send what is printed to the run's log; other processes' errors to the terminal.

    Raises:
        OutputError: if the log cannot be written.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    try:
        on_main(lambda: _to_log(log))
        if not peers.is_main:
            with open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), 1)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _to_log(log: Path) -> None:
    with writing(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        print_to(log)


@contextmanager
def _watched(one: Running, stall_sec: float, watch: Watch) -> Iterator[None]:
    """Show how a run goes on; end this process, and so all, if it makes no step for so long."""
    done = threading.Event()
    looker = threading.Thread(target=_look, args=(one, stall_sec, watch, done), daemon=True)
    looker.start()
    try:
        yield
    finally:
        done.set()
        looker.join()


def _look(one: Running, stall_sec: float, watch: Watch, done: threading.Event) -> None:
    last = time.monotonic()
    while not done.wait(_LOOK_SEC):
        watch([one])
        passed, last = time.monotonic() - last, time.monotonic()
        if one.told.beats != one.seen:
            one.seen, one.still_sec = one.told.beats, 0.0
            continue
        one.still_sec += min(passed, _LOOKED_AWAY_SEC)
        if one.still_sec > stall_sec:
            reason = f"no progress in {stall_sec:g} s: log.txt says where it stood"
            with contextlib.suppress(OutputError):
                one.folder.end(Outcome(Status.FAILED, reason, 0, last - one.since))
            os.abort()  # faulthandler writes all stacks
