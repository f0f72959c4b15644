"""Trouble that a real run makes for itself at a stated point, in its own process."""

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.engine.runner import QuietRunner
from harness.launch.worker import Machine
from harness.records import branches

PAGE = 4096
_BLOCK = 2**20


@dataclass(frozen=True)
class Order:
    """What happens once, before all hooks of a call, in the runs of that name."""

    run: str
    """A part of it."""
    at: str
    """The hooks' method."""
    iteration: int
    """Iterations done before the one that is under way, at least."""
    do: Callable[[QuietRunner], None]


@dataclass(frozen=True)
class Troubled(Machine):
    """A machine whose workers follow orders."""

    orders: tuple[Order, ...] = ()

    def __reduce__(self):
        plain = (self.device, self.jobs, self.threads, self.cache_dir, self.keeping)
        return _arrive, (plain, self.orders)


def _arrive(plain, orders):
    """Take the orders, in the worker."""
    call_hook, left = QuietRunner.call_hook, list(orders)

    def heard(self, fn_name, **kwargs):
        for order in [o for o in left if o.run in self.experiment_name and o.at == fn_name]:
            if self.iter >= order.iteration:
                left.remove(order)
                order.do(self)
        return call_hook(self, fn_name, **kwargs)

    QuietRunner.call_hook = heard
    return Machine(*plain)


def save(runner: QuietRunner) -> None:
    """Have a checkpoint written, where one may be."""
    runner.keeper.save(runner)


def fill(runner: object, disk: Path, pages: int = 0) -> None:
    """Leave a disk no more than so many pages."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(_BLOCK)):
                pass
        file.truncate(max(0, file.tell() - pages * PAGE))


def wait_for(runner: object, folder: Path) -> None:
    """Say in a folder that the run waits there, until it may go."""
    (folder / "waits").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)


def hang(runner: object) -> None:
    """Stand still in Python, where signals are still seen to."""
    while True:
        time.sleep(3600)


def hang_in_c(runner: object) -> None:
    """Stand still in C with the interpreter's lock held: no Python code of the process runs."""
    ctypes.PyDLL(None).sleep(3600)


def die(runner: object) -> None:
    """End as the kernel ends a process for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_branching(runner: object) -> None:
    """End so in the middle of laying down the next branch: all of it is written by then."""
    branches.sync = die


def want_too_much(runner: object) -> None:
    """Ask for ever more memory, under a limit."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 200 * _BLOCK, resource.RLIM_INFINITY))
    taken = []
    while True:
        taken.append(bytes(8 * _BLOCK))


def set_clock(runner: object, by_sec: float) -> None:
    """Have the wall clock go on from another time, for all of the process's Python."""
    right = time.time

    def wrong():
        return right() + by_sec

    time.time = wrong


def evaluate_slowly(runner: QuietRunner, sec: float, told: Path | None = None) -> None:
    """Take so long over each batch of images from now on; leave a file that it has begun."""
    evaluator = runner.val_loop.evaluator.arms
    beat = evaluator.beat

    def slow():
        beat()
        if told is not None:
            told.with_name(f"{told.name}-{runner.experiment_name}").touch()
        time.sleep(sec)

    evaluator.beat = slow
