"""One run in a process of its own: whatever happens in it ends as an outcome."""

import contextlib
import ctypes
import errno
import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Diverged, HarnessError, OutputError
from harness.interrupts import Interrupts, end_with_starter
from harness.launch.lease import Lease
from harness.launch.memory import keep_freed
from harness.plan.expand import Run
from harness.plan.keeping import Keeping
from harness.records.branches import write_riders
from harness.records.files import read_json, unwritable, writing
from harness.records.machine import describe
from harness.records.machine_file import read_machine, resumed
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

if TYPE_CHECKING:
    import torch

    from harness.engine.branching import BranchHook
    from harness.engine.peers import Peers

_LOOK_SEC = 0.5
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MEMORY = ("can't allocate memory", "Cannot allocate memory", "OutOfMemoryError")
"""What torch says of memory, on a CPU and on others."""

_REASON_BYTES = 1000

WAITING = -1
"""Beats of a process that waits for another one which trains the same run."""
_UNWRITTEN = 74
"""Exit code where the outcome could not be written (EX_IOERR)."""
LEFT = 75
"""Exit code of a process that left its run to another machine (EX_TEMPFAIL)."""


@dataclass(frozen=True)
class Machine:
    """How this machine is used.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs at a time.
        threads: threads of each.
        cache_dir: where prepared images and reference statistics are kept.
        keeping: when a run writes checkpoints.
        node: this machine's name, where others train runs of the same folder; else empty.
    """

    device: str
    jobs: int
    threads: int
    cache_dir: Path
    keeping: Keeping = field(default_factory=Keeping)
    node: str = ""


class Told(ctypes.Structure):
    """What a run's process tells who watches it, in memory that both have."""

    _fields_ = (("beats", ctypes.c_int64), ("reason", ctypes.c_char * _REASON_BYTES))
    beats: int
    """Steps of training and evaluation; ``WAITING`` where another process trains the run."""
    reason: bytes
    """Why it ended, where that could not be written down."""


def work(run: Run, path: Path, machine: Machine, told: Told, riders: Sequence[Run] = ()) -> None:
    """Train one run, or go on with it; its folder holds the outcome afterwards, good or bad.

    Args:
        run: what to train.
        path: the run's folder.
        machine: how the machine is used.
        told: what it tells meanwhile.
        riders: runs that begin as this one does; each gets a folder where it parts from it.
    """
    faulthandler.enable()
    interrupts = Interrupts()
    interrupts.install()
    end_with_starter()
    keep_freed()
    folder = RunFolder(path)
    try:
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            print_to(path / "log.txt")
        wait_for(folder, told)
        with _leased(path, machine.node, told):
            if not ended(path):
                _end(folder, outcome_of(run, folder, machine, interrupts, told, riders=riders))
    except KeyboardInterrupt:
        return  # while it waited: how the run ends is for the process to say that trains it
    except OutputError as error:
        told.reason = str(error).encode()[:_REASON_BYTES]
        os._exit(_UNWRITTEN)


def ended(path: Path) -> bool:
    """Tell whether a run's folder holds a run that there is nothing to add to.

    One that diverged would do so again.

    Raises:
        RecordsError: if a newer harness wrote it.
    """
    machine = path / "machine.json"
    if os.path.lexists(machine):
        read_json(machine)
    outcome = RunFolder(path).outcome()
    return outcome is not None and outcome.status in (Status.FINISHED, Status.DIVERGED)


def _end(folder: RunFolder, outcome: Outcome) -> None:
    try:
        folder.end(outcome)
    except OutputError as error:
        raise OutputError(outcome.reason or str(error)) from None


def wait_for(folder: RunFolder, told: Told) -> None:
    """Take the run for this process, as soon as no other trains it."""
    while not folder.lock():
        _say_waiting(told, "another process trains this run")
        time.sleep(_LOOK_SEC)
    told.beats = 0


@contextlib.contextmanager
def _leased(path: Path, node: str, told: Told) -> Iterator[None]:
    """Keep the run for this machine, where others may take it."""
    if not node:
        yield
        return
    lease = Lease(path, node)
    lease.take(lambda: _say_waiting(told, "another machine trains this run, or died over it"))
    told.beats = 0
    with lease.held(lambda: os._exit(LEFT)):
        yield


def _say_waiting(told: Told, reason: str) -> None:
    if told.beats != WAITING:
        print(f"{reason}: waiting for it", flush=True)
    told.beats = WAITING


def outcome_of(
    run: Run,
    folder: RunFolder,
    machine: Machine,
    interrupts: Interrupts,
    told: Told,
    peers: "Peers | None" = None,
    riders: Sequence[Run] = (),
) -> Outcome:
    """Train a run, or go on with it, and return how it ended, whatever happened.

    Args:
        run: what to train.
        folder: the run's, locked.
        machine: how the machine is used.
        interrupts: installed; both signals are ignored from its end on.
        told: counts steps.
        peers: the processes that train it together; this one alone where None.
        riders: runs that ride along on it, until they part.
    """
    begin = time.monotonic()
    keeper = branching = None

    def sec() -> float:
        return time.monotonic() - begin if keeper is None else keeper.total_sec()

    def beat() -> None:
        told.beats += 1

    try:
        torch_device, name = settle(machine.device, machine.threads)
        from harness.engine.branching import BranchHook
        from harness.engine.build import train
        from harness.engine.keeping import Keeper
        from harness.engine.peers import Peers
        from harness.networks.kernels import kernel_path

        peers = peers or Peers()
        with peers.heard():
            keeper = Keeper(folder, run.settings, machine.keeping, interrupts, beat, peers)
            kernels = kernel_path(run.spec.model.type, torch_device)
            here = describe(machine.device, name, machine.threads, machine.jobs, kernels)
            here |= peers.facts | ({"node": machine.node} if machine.node else {})
            if keeper.mark is not None and peers.is_main:
                here = resumed(here, read_machine(folder.path / "machine.json"), keeper.iteration)
            folder.begin(run.settings, here, keeper.mark)
            if peers.is_main:
                write_riders(folder.path, [rider.name for rider in riders])
            branching = BranchHook(run, riders, keeper) if riders else None
            iterations = train(run, keeper, torch_device, machine.cache_dir, branching)
        return _shared(branching, Outcome(Status.FINISHED, "", iterations, sec()))
    except Diverged as error:
        return _shared(branching, Outcome(Status.DIVERGED, str(error), error.iteration, sec()))
    except KeyboardInterrupt:
        done = 0 if keeper is None else keeper.iteration
        return Outcome(Status.INTERRUPTED, "stopped by a signal", done, sec())
    except HarnessError as error:
        return Outcome(Status.FAILED, str(error), 0, sec())
    except Exception as error:  # the one place where a defect becomes a value
        return Outcome(Status.FAILED, _reason(error, folder.path), 0, sec())
    finally:
        interrupts.ignore()


def _shared(branching: "BranchHook | None", outcome: Outcome) -> Outcome:
    """Return how a run ended, once those that rode along to its end have ended, too."""
    try:
        if branching is not None:
            branching.end(outcome)
    except HarnessError as error:
        return Outcome(Status.FAILED, str(error), 0, outcome.sec)
    return outcome


def _reason(error: Exception, folder: Path) -> str:
    """Say why a run failed; what may be a defect has its traceback in the log."""
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:  # by hooks of others
        return str(unwritable(Path(error.filename or folder), error))
    with contextlib.suppress(OSError, MemoryError):  # as there is nothing left of either, perhaps
        traceback.print_exc()
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(word in text for word in _MEMORY):
        return f"out of memory: run fewer at a time with --jobs, or train smaller batches ({text})"
    return text


def check(run: Run, device: str, cache_dir: Path, answer: Connection) -> None:
    """Do once what every run needs: prepare the images, load the extractor, measure the real.

    Sends the error message for the user, or an empty string.
    """
    end_with_starter()
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        answer.send(_problem(lambda: prepare(run, device, cache_dir)))


def prepare(run: Run, device: str, cache_dir: Path) -> None:
    """Prepare the images, load the extractor, measure the real images."""
    torch_device, _ = settle(device, 0)
    from harness.engine.build import prepared

    prepared(run.spec, run.seed, torch_device, cache_dir)


def _problem(action: Callable[[], None]) -> str:
    try:
        action()
    except HarnessError as error:
        return str(error)
    return ""


def settle(device: str, threads: int) -> "tuple[torch.device, str]":
    """Return the device and its name, with the arithmetic that results are comparable in."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if device == "cpu":
        return torch.device("cpu"), ""
    if not torch.cuda.is_available():
        raise HarnessError(f"--device {device}: torch finds no CUDA device here; use --device cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda"), torch.cuda.get_device_name()


def print_to(path: Path) -> None:
    """Send everything printed, by libraries in C too, to the run's log."""
    log = path.open("ab")
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
