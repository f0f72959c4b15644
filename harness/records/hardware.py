"""What decides how fast runs are: asked for by every plan, so that it has to be found at once."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_GPUS = Path("/proc/driver/nvidia/gpus")
_FAST_OR_SLOW = ("torch", "mmengine", "numpy")
"""Libraries that a run's seconds depend on."""


def hardware(device: str) -> dict[str, Any]:
    """Return what decides how fast runs are here, as a JSON object, without asking torch.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    return {
        "cpu": cpu_info("model name"),
        "cores": os.cpu_count(),
        "device": device if device == "cpu" else f"{device}: {gpu_name(_GPUS)}",
        "python": platform.python_version(),
        "libraries": {name: version_of(name) for name in _FAST_OR_SLOW},
    }


def gpu_name(folder: Path) -> str:
    """Return the first GPU's name from the driver's folder of them; empty where there is none."""
    try:
        texts = [path.read_text() for path in sorted(folder.glob("*/information"))[:1]]
    except OSError:
        return ""
    lines = (line.partition(":") for text in texts for line in text.splitlines())
    return next((name.strip() for field, _, name in lines if field.strip() == "Model"), "")


def version_of(name: str) -> str | None:
    """Return the version of an installed library; None where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def cpu_info(field: str) -> str:
    """Return the first value of a field of /proc/cpuinfo; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() if field == "model name" else ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
