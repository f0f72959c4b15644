"""What a run ran on: enough to say whether two runs should agree to the bit."""

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.records.hardware import cpu_info, version_of

_LIBRARIES = ("torch", "torchvision", "mmengine", "numpy", "scipy", "torch-fidelity")
_DATA_LIBRARIES = ("pillow", "scikit-learn", "scikit-image")
"""Where real images come from; what they made of them is told by the data's own digest."""
_KIND = ("cpu", "isa", "device", "threads", "arithmetic", "python", "libraries")
"""Fields that decide the bits of a run."""
_RANKS = ("ranks", "backend")
"""So do these, which only the machine of a run over several processes has."""
_NOT_OF_A_RUN = frozenset(
    [
        *("report", "bench", "scale", "conformance", "doctor"),
        *("cli.py", "checking.py", "check_parser.py"),
    ]
)

PACKAGE = Path(__file__).parents[1]
DRIVER = Path("/proc/driver/nvidia/version")


def describe(
    device: str,
    device_name: str,
    threads: int,
    jobs: int = 1,
    kernels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the machine as a JSON object.

    Args:
        device: ``cpu`` or ``cuda``.
        device_name: the accelerator's name, empty for a CPU.
        threads: threads that a run computes with.
        jobs: runs side by side.
        kernels: by which path each kind of operation is computed; left out where None. An
            accelerator's driver is put beside them.
    """
    content = {
        "cpu": cpu_info("model name"),
        "isa": _vector_extensions(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_gib(), 1),
        "device": device if not device_name else f"{device}: {device_name}",
        "threads": threads,
        "jobs": jobs,
        "arithmetic": "float32",
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version_of(name) for name in _LIBRARIES},
        "data_libraries": {name: version_of(name) for name in _DATA_LIBRARIES},
        "source": source_state(),
    }
    driver = {} if device == "cpu" else {"driver": driver_version(DRIVER)}
    paths = {**(kernels or {}), **driver}
    return {**content, "kernels": paths} if paths else content


def kind(machine: Mapping[str, Any]) -> str:
    """Return a short digest of what decides a run's bits, the same for machines of one kind."""
    fields = {name: machine.get(name) for name in _KIND}
    fields |= {name: machine[name] for name in _RANKS if name in machine}
    content = json.dumps(fields, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def slug(machine: Mapping[str, Any]) -> str:
    """Return a folder name for a machine: its processor or accelerator, and the cores."""
    cpu = machine["device"] == "cpu"
    name = f"{machine['cpu']} x{machine['cores']}" if cpu else machine["device"]
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def driver_version(path: Path) -> str:
    """Return the driver's version from the kernel's word of it, or ``unknown``."""
    try:
        first = path.read_text().partition("\n")[0]
    except OSError:
        first = ""
    # NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024
    return next((word for word in first.split() if word[0].isdigit()), "unknown")


def source_state() -> dict[str, Any]:
    """Return the harness's version, commit, whether it was clean, and its source's digest."""
    git = _git("rev-parse", "HEAD")
    state: dict[str, Any] = {"version": version_of("gan-harness"), "digest": source_digest()}
    if git is not None:
        state |= {"commit": git, "clean": not _git("status", "--porcelain", "--", str(PACKAGE))}
    return state


def source_digest() -> str:
    """Return a digest of every source file that a run executes."""
    total = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in _NOT_OF_A_RUN:
            total.update(path.relative_to(PACKAGE).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:12]


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _vector_extensions() -> str:
    # Libraries choose their kernels by these, and with them the order of additions.
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
    flags = set((cpu_info("flags") or cpu_info("Features")).split())
    return " ".join(name for name in known if name in flags)


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return 0.0
