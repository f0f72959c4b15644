"""The machine: processor, memory, disks, clock, and the device that is asked for."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.doctor.finding import Finding, State, counted, size
from harness.records.machine import DRIVER, driver_version

_found = partial(Finding, "Machine")

MEMINFO = Path("/proc/meminfo")
MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where control groups of version 2 and 1 say how much memory a container has, in bytes."""

_LOW_MEMORY_GIB = 2.0
_LOW_DISK_GIB = 1.0
_CLOCK_SEC = 60.0
"""How far a file server's clock may be ahead of this machine's."""


def usable_cores() -> int:
    """Return how many cores this process may compute on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor(machine: Mapping[str, Any], usable: int) -> Finding:
    """Look at the processor and how much of it this process may use.

    Args:
        machine: as ``harness.records.machine.describe`` returns it.
        usable: cores that this process may compute on.
    """
    text = f"{machine['cpu'] or 'unknown'}, {counted(machine['cores'], 'core')}"
    if usable < (machine["cores"] or usable):
        return _found("processor", State.NOTE, f"{text}, {usable} of them usable by this process")
    return _found("processor", State.OK, text)


def vectors(machine: Mapping[str, Any]) -> Finding:
    """Look at the instructions that torch chooses its kernels by."""
    if machine["isa"]:
        return _found("vectors", State.OK, str(machine["isa"]))
    if machine["system"] != "Linux":
        return _found("vectors", State.NOTE, f"cannot be told on {machine['system']}")
    return _found(
        "vectors",
        State.WARNING,
        "none of AVX2, AVX-512, Advanced SIMD or SVE",
        "training is many times slower here; where this is a virtual machine, pass the host's "
        "processor through",
    )


def memory(meminfo: Path = MEMINFO, limits: Sequence[Path] = MEMORY_LIMITS) -> Finding:
    """Look at memory: what is there, what is free, and a container's limit where it is lower."""
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        total, free = (int(fields[n].split()[0]) / 2**20 for n in ("MemTotal", "MemAvailable"))
    except (OSError, LookupError, ValueError):
        return _found("memory", State.NOTE, "cannot be told on this system")
    limit = min(map(_limit_gib, limits), default=math.inf)
    free = min(free, limit)
    text = f"{size(total)}, {size(free)} available"
    if limit < total:
        text += f", limited to {size(limit)} by the control group"
    if free < _LOW_MEMORY_GIB:
        what = "a run takes about 1 GiB: end other programs, or train with --jobs 1"
        return _found("memory", State.WARNING, text, what)
    return _found("memory", State.OK, text)


def _limit_gib(path: Path) -> float:
    try:
        return int(path.read_text()) / 2**30
    except (OSError, ValueError):  # no such control group, or "max"
        return math.inf


def by_disk(folders: Mapping[str, Path]) -> list[dict[str, Path]]:
    """Return the folders, by their names, those that are or will be on one disk together."""
    disks: dict[int, dict[str, Path]] = {}
    for name, folder in folders.items():
        disks.setdefault(os.stat(existing(folder)).st_dev, {})[name] = folder
    return list(disks.values())


def disk(folders: Mapping[str, Path], needed_gib: float = 0.0) -> Finding:
    """Look at the free space of a disk.

    Args:
        folders: what is, or will be, on it, by name.
        needed_gib: what is predicted to be written there; 0 where nothing is known.
    """
    free = shutil.disk_usage(existing(next(iter(folders.values())))).free / 2**30
    text = f"{size(free)} free for {', '.join(folders)}"
    if needed_gib:
        text += f"; {size(needed_gib)} predicted"
    if needed_gib > free:
        what = f"free {size(needed_gib - free)} there, or choose another disk with --runs"
        return _found("disk", State.PROBLEM, text, what)
    if free < _LOW_DISK_GIB:
        return _found("disk", State.WARNING, text, "free some space before runs are trained")
    return _found("disk", State.OK, text)


def existing(path: Path) -> Path:
    """Return the nearest that exists of a path and its parents."""
    path = path.expanduser().absolute()
    return next(one for one in (path, *path.parents) if os.path.exists(one))


def temporary() -> Finding:
    """Look whether temporary files can be written, and where the user wants them."""
    wanted = os.environ.get("TMPDIR")
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"0")
    except OSError as error:
        what = "set TMPDIR to a folder that can be written"
        return _found("temporary", State.PROBLEM, f"nothing can be written: {error}", what)
    place = Path(tempfile.gettempdir())
    if wanted and not (Path(wanted).is_dir() and place.samefile(wanted)):
        text = f"TMPDIR is {wanted}, which cannot be written: {place} is used"
        return _found("temporary", State.WARNING, text, "make it writable, or set another TMPDIR")
    return _found("temporary", State.OK, f"{place} can be written")


def clock(now: float, package: Path) -> Finding:
    """Look whether the clock is behind the newest source file.

    Args:
        now: seconds since 1970.
        package: a folder of Python files.
    """
    newest = max((path.stat().st_mtime for path in package.rglob("*.py")), default=0.0)
    text = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(now))
    if now + _CLOCK_SEC < newest:
        source = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest))
        text = f"{text} is before the newest source file, {source}"
        return _found("clock", State.WARNING, text, "set the clock: results would be dated wrongly")
    return _found("clock", State.OK, text)


def encoding(name: str | None) -> Finding:
    """Look whether what is printed can show the names of files and the progress of runs."""
    if (name or "").lower().replace("-", "") == "utf8":
        return _found("encoding", State.OK, "UTF-8")
    text = f"{name or 'unknown'}, not UTF-8: some signs are printed as escapes (PYTHONUTF8=1)"
    return _found("encoding", State.NOTE, text)


def device(wanted: str, driver: Path = DRIVER) -> Finding:
    """Look at the CUDA device as torch sees it, and compute a product on it.

    Args:
        wanted: ``cpu`` or ``cuda``; a device that is not asked for may be missing.
    """
    import torch

    missing = State.PROBLEM if wanted == "cuda" else State.NOTE
    if torch.version.cuda is None:
        text, what = "this torch is built without CUDA", "install torch built for CUDA"
    elif not torch.cuda.is_available():
        text, what = "torch finds no CUDA device", "check the driver with nvidia-smi"
    else:
        try:
            return _cuda_device(driver)
        except RuntimeError as error:  # of torch: no memory, no kernels for this device
            text = f"torch cannot compute on it: {str(error).splitlines()[0]}"
            what = "end other programs on it, or install a torch built for it"
    advice = f"{what}, or use --device cpu" if missing is State.PROBLEM else ""
    return _found("device", missing, text if advice else f"{text}: runs use the CPU", advice)


def _cuda_device(driver: Path) -> Finding:
    import torch

    ones = torch.ones(16, 16, device="cuda")
    assert float((ones @ ones).sum()) == 16**3
    free, total = (count / 2**30 for count in torch.cuda.mem_get_info())
    text = f"{torch.cuda.get_device_name()}, {size(total)}, {size(free)} free"
    text += f", CUDA {torch.version.cuda}, driver {driver_version(driver)}"
    return _found("device", State.OK, text)
