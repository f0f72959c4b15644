"""A run held for one process of all machines that share its folder, where locks may not reach.

A kernel's locks keep out the processes of one machine; over a shared disk they may or may not
reach others. A lease is a file whose time of change beats while its holder lives:

- ``.lease-N`` is made by who takes the run for the N-th time: one process alone can make a name.
- Who has seen it silent for ``silent_sec`` may make N + 1. No two machines' clocks are compared.
- Its holder looks for N + 1 at every beat, and ends at once where that is there, or where it could
  not beat for ``give_up_sec``, which is shorter.
"""

import contextlib
import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import OutputError
from harness.records.files import write_atomically, writing

_NAME = re.compile(r"\.lease-(\d+)")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LOOK_SEC = 0.5
_GUARD_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a lease beats.

    Args:
        beat_sec: between two beats.
        give_up_sec: a holder that could not beat for so long ends.
        silent_sec: a lease that was seen silent for so long is nobody's; the longest of the three.
    """

    beat_sec: float = 10.0
    give_up_sec: float = 40.0
    silent_sec: float = 60.0


PACE = Pace()


@dataclass(frozen=True, slots=True)
class Seen:
    """A run's newest lease as it was found.

    Args:
        number: how many times the run was taken; 0 for none.
        beat: when it last beat, in nanoseconds of the disk's clock.
        kernel: whose process has it; empty where that is not known.
        free: whether it was given back.
    """

    number: int = 0
    beat: int = 0
    kernel: str = ""
    free: bool = True


class Lease:
    """A run's, taken for this process once the kernel's lock of the run is.

    Args:
        folder: the run's.
        node: this machine's name, for people.
        kernel: the machine, for other processes; of this one, a lock tells who lives.
        pace: the same for all who share the folder.
    """

    def __init__(self, folder: Path, node: str, kernel: str = "", pace: Pace = PACE) -> None:
        self._folder, self._node, self._pace = folder, node, pace
        self._kernel = kernel or this_kernel()
        self._number = 0
        self._last = 0.0
        self._over = threading.Event()

    def take(self, wait: Callable[[], None]) -> None:
        """Take the run as soon as no other machine has it.

        Args:
            wait: called again and again meanwhile.

        Raises:
            OutputError: if the folder cannot be written.
        """
        seen, since = look(self._folder), _now()
        while not (self._nobodys(seen, since) and self._make(seen.number + 1)):
            wait()
            time.sleep(_LOOK_SEC)
            before, seen = seen, look(self._folder)
            if seen != before:
                since = _now()

    @contextlib.contextmanager
    def held(self, lost: Callable[[], None]) -> Iterator[None]:
        """Inside, the lease beats; afterwards the run is anybody's.

        Args:
            lost: ends the process, from a thread of its own: another machine has the run.
        """
        self._last = _now()
        threads = [
            threading.Thread(target=target, args=(lost,), daemon=True)
            for target in (self._beat, self._guard)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(_GUARD_SEC)
            with contextlib.suppress(OutputError):
                write_atomically(self._path, self._content(free=True))

    def _nobodys(self, seen: Seen, since: float) -> bool:
        here = seen.kernel == self._kernel  # and dead, as its lock is free
        return seen.free or here or _now() - since > self._pace.silent_sec

    def _make(self, number: int) -> bool:
        """Make the next lease; False if another process did."""
        self._number = number
        with writing(self._path):
            try:
                with self._path.open("x") as file:
                    file.write(self._content(free=False))
            except FileExistsError:
                return False
            numbers = _numbers(self._folder)
            if numbers[-1] > number:  # found late: those between were taken and removed since
                self._path.unlink()
                return False
            for earlier in numbers[:-1]:
                _path(self._folder, earlier).unlink(missing_ok=True)
        return True

    def _beat(self, lost: Callable[[], None]) -> None:
        while not self._over.wait(self._pace.beat_sec):
            with contextlib.suppress(OSError):  # how long that may go on, the other thread knows
                if _numbers(self._folder)[-1:] != [self._number]:
                    lost()
                os.utime(self._path)
                self._last = _now()

    def _guard(self, lost: Callable[[], None]) -> None:
        while not self._over.wait(_GUARD_SEC):
            if _now() - self._last > self._pace.give_up_sec:
                lost()

    def _content(self, free: bool) -> str:
        return json.dumps({"node": self._node, "kernel": self._kernel, "free": free}) + "\n"

    @property
    def _path(self) -> Path:
        return _path(self._folder, self._number)


def look(folder: Path) -> Seen:
    """Return a run's newest lease."""
    numbers = _numbers(folder)
    if not numbers:
        return Seen()
    try:
        with _path(folder, numbers[-1]).open() as file:  # opened, so that no cache answers
            beat = os.fstat(file.fileno()).st_mtime_ns
            value = json.load(file)
        return Seen(numbers[-1], beat, str(value["kernel"]), value["free"] is True)
    except (OSError, ValueError, KeyError, TypeError):  # being made, or torn by a crash
        return Seen(numbers[-1], free=False)


def held_elsewhere(folder: Path) -> bool:
    """Tell whether a process of another machine has a run, or died while it had."""
    seen = look(folder)
    return not seen.free and seen.kernel != this_kernel()


def beating(folders: Sequence[Path], pace: Pace = PACE) -> list[Path]:
    """Return the runs that other machines are training; takes ``silent_sec`` if it has to find out.

    Args:
        folders: of runs.
        pace: of their leases.
    """
    held = {folder: look(folder) for folder in folders if held_elsewhere(folder)}
    deadline = _now() + pace.silent_sec
    while held and _now() < deadline:
        time.sleep(_LOOK_SEC)
        if alive := [folder for folder, seen in held.items() if look(folder) != seen]:
            return alive
    return []


def this_kernel() -> str:
    """Return a name of the running kernel, as far as whose locks reach for certain."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return platform.node()


def _numbers(folder: Path) -> list[int]:
    found = (_NAME.fullmatch(name) for name in os.listdir(folder)) if folder.is_dir() else ()
    return sorted(int(match[1]) for match in found if match)


def _path(folder: Path, number: int) -> Path:
    return folder / f".lease-{number:06d}"


def _now() -> float:
    """Return seconds on a clock that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
