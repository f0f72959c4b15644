"""One run in a process of its own: whatever happens in it ends as an outcome."""

import contextlib
import ctypes
import errno
import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Diverged, HarnessError, OutputError
from harness.interrupts import Interrupts, end_with_starter
from harness.launch.memory import keep_freed
from harness.plan.expand import Run
from harness.plan.keeping import Keeping
from harness.records.files import read_json, unwritable, writing
from harness.records.machine import describe
from harness.records.machine_file import read_machine, resumed
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

if TYPE_CHECKING:
    import torch

_LOOK_SEC = 0.5
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MEMORY = ("can't allocate memory", "Cannot allocate memory", "OutOfMemoryError")
"""What torch says of memory, on a CPU and on others."""

_REASON_BYTES = 1000

WAITING = -1
"""Beats of a process that waits for another one which trains the same run."""
_UNWRITTEN = 74
"""Exit code where the outcome could not be written (EX_IOERR)."""


@dataclass(frozen=True)
class Machine:
    """How this machine is used.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs at a time.
        threads: threads of each.
        cache_dir: where prepared images and reference statistics are kept.
        keeping: when a run writes checkpoints.
    """

    device: str
    jobs: int
    threads: int
    cache_dir: Path
    keeping: Keeping = field(default_factory=Keeping)


class Told(ctypes.Structure):
    """What a run's process tells who watches it, in memory that both have."""

    _fields_ = (("beats", ctypes.c_int64), ("reason", ctypes.c_char * _REASON_BYTES))
    beats: int
    """Steps of training and evaluation; ``WAITING`` where another process trains the run."""
    reason: bytes
    """Why it ended, where that could not be written down."""


def work(run: Run, path: Path, machine: Machine, told: Told) -> None:
    """Train one run, or go on with it; its folder holds the outcome afterwards, good or bad.

    Args:
        run: what to train.
        path: the run's folder.
        machine: how the machine is used.
        told: what it tells meanwhile.
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
            _print_to(path / "log.txt")
        _wait_for(folder, told)
        if not ended(path):
            _end(folder, _outcome(run, folder, machine, interrupts, told))
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


def _wait_for(folder: RunFolder, told: Told) -> None:
    """Take the run for this process, as soon as no other trains it."""
    while not folder.lock():
        if told.beats != WAITING:
            print("another process trains this run: waiting for it", flush=True)
        told.beats = WAITING
        time.sleep(_LOOK_SEC)
    told.beats = 0


def _outcome(
    run: Run, folder: RunFolder, machine: Machine, interrupts: Interrupts, told: Told
) -> Outcome:
    begin = time.monotonic()
    keeper = None

    def sec() -> float:
        return time.monotonic() - begin if keeper is None else keeper.total_sec()

    def beat() -> None:
        told.beats += 1

    try:
        torch_device, name = _settle(machine.device, machine.threads)
        from harness.engine.build import train
        from harness.engine.keeping import Keeper
        from harness.networks.kernels import kernel_path

        keeper = Keeper(folder, run.settings, machine.keeping, interrupts, beat)
        kernels = kernel_path(run.spec.model.type, torch_device)
        here = describe(machine.device, name, machine.threads, machine.jobs, kernels)
        if keeper.mark is not None:
            here = resumed(here, read_machine(folder.path / "machine.json"), keeper.iteration)
        folder.begin(run.settings, here, keeper.mark)
        iterations = train(run, keeper, torch_device, machine.cache_dir)
        return Outcome(Status.FINISHED, "", iterations, sec())
    except Diverged as error:
        return Outcome(Status.DIVERGED, str(error), error.iteration, sec())
    except KeyboardInterrupt:
        done = 0 if keeper is None else keeper.iteration
        return Outcome(Status.INTERRUPTED, "stopped by a signal", done, sec())
    except HarnessError as error:
        return Outcome(Status.FAILED, str(error), 0, sec())
    except Exception as error:  # the one place where a defect becomes a value
        return Outcome(Status.FAILED, _reason(error, folder.path), 0, sec())
    finally:
        interrupts.ignore()


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
        answer.send(_problem(lambda: _prepare(run, device, cache_dir)))


def _prepare(run: Run, device: str, cache_dir: Path) -> None:
    torch_device, _ = _settle(device, 0)
    from harness.engine.build import prepared

    prepared(run.spec, run.seed, torch_device, cache_dir)


def _problem(action: Callable[[], None]) -> str:
    try:
        action()
    except HarnessError as error:
        return str(error)
    return ""


def _settle(device: str, threads: int) -> "tuple[torch.device, str]":
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


def _print_to(path: Path) -> None:
    """Send everything printed, by libraries in C too, to the run's log."""
    log = path.open("ab")
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
