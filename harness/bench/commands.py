"""Commands as a user starts them: a process each, and its seconds."""

import os
import subprocess
import sys
import time
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]


def seconds_of(folder: Path, *arguments: str) -> float:
    """Run ``harness`` in a folder, and return the seconds until it has ended.

    Raises:
        RuntimeError: if it fails.
    """
    return seconds_of_python(folder, "-m", "harness", *arguments)


def seconds_of_python(folder: Path, *arguments: str) -> float:
    """Run Python with these arguments in a folder, and return the seconds until it has ended.

    Raises:
        RuntimeError: if it fails.
    """
    begin = time.perf_counter()
    output_of_python(folder, *arguments)
    return time.perf_counter() - begin


def output_of_python(folder: Path, *arguments: str, cache: Path | None = None) -> str:
    """Run Python with these arguments in a folder, and return what it printed.

    Args:
        cache: the harness's, if it is not to be the user's own.

    Raises:
        RuntimeError: if it fails.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment() | ({} if cache is None else {"HARNESS_CACHE": str(cache)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return this process's environment, with compiled modules kept as on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(_PACKAGE)}
