"""The committed results of a question, to compare new ones with."""

import subprocess
import tempfile
from pathlib import Path

from harness.records import protocols
from harness.report.frames import Results, read

_FILES = ("runs.csv", "outcomes.csv", "spec.yaml", "machine.json")
_NEWER = (protocols.FILE,)
"""That older results lack."""


def committed(folder: Path) -> Results | None:
    """Return a results folder as it was last committed, or as it is on disk outside of git.

    Inside a git checkout the folder on disk may be the user's own last reproduction, which
    would prove nothing.
    """
    with tempfile.TemporaryDirectory() as copy:
        if _in_git(folder):
            return read(Path(copy)) if _copy_from_git(folder, Path(copy)) else None
    return read(folder) if (folder / "runs.csv").exists() else None


def _in_git(folder: Path) -> bool:
    return folder.is_dir() and _git(folder, "rev-parse", "--verify", "HEAD") is not None


def _copy_from_git(folder: Path, copy: Path) -> bool:
    for name in (*_FILES, *_NEWER):
        content = _git(folder, "show", f"HEAD:./{name}")
        if content is not None:
            (copy / name).write_bytes(content)
        elif name in _FILES:
            return False
    return True


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
