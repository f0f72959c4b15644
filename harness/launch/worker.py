"""One run in a process of its own: whatever happens in it ends as an outcome."""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from harness.errors import Diverged, HarnessError
from harness.plan.expand import Run
from harness.records.machine import describe
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

if TYPE_CHECKING:
    import torch


def work(run: Run, path: Path, device: str, threads: int, jobs: int, cache_dir: Path) -> None:
    """Train one run; its folder holds the outcome afterwards, good or bad.

    Args:
        path: the run's folder.
        device: ``cpu`` or ``cuda``.
        threads: threads to compute with.
        jobs: runs side by side, which its seconds depend on.
        cache_dir: where prepared images and reference statistics are kept.
    """
    begin = time.perf_counter()
    path.mkdir(parents=True, exist_ok=True)
    _print_to(path / "log.txt")
    signal.signal(signal.SIGTERM, _interrupt)
    folder = RunFolder(path)
    status, reason, iteration = Status.FINISHED, "", 0
    try:
        torch_device, name = _settle(device, threads)
        from harness.networks.kernels import kernel_path

        kernels = kernel_path(run.spec.model.type, torch_device)
        folder.begin(run.settings, describe(device, name, threads, jobs, kernels))
        from harness.engine.build import train

        iteration = train(run, folder, torch_device, cache_dir)
    except Diverged as error:
        status, reason, iteration = Status.DIVERGED, str(error), error.iteration
    except KeyboardInterrupt:
        status, reason = Status.INTERRUPTED, "stopped by a signal"
    except HarnessError as error:
        status, reason = Status.FAILED, str(error)
    except Exception as error:  # the one place where a defect becomes a value
        traceback.print_exc()
        status, reason = Status.FAILED, f"{type(error).__name__}: {error}"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder.end(Outcome(status, reason, iteration, time.perf_counter() - begin))


def check(run: Run, device: str, cache_dir: Path, answer: Connection) -> None:
    """Do once what every run needs: prepare the images, load the extractor, measure the real.

    Sends the error message for the user, or an empty string.
    """
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
