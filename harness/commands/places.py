"""Folders of runs and results: where they are, whether they can be written, what was there."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import OutputError, RecordsError
from harness.plan.expand import Plan
from harness.records.files import read_json, write_atomically


def suffix(overrides: Sequence[str]) -> str:
    """Return a folder suffix that keeps overridden runs away from a question's own results."""
    text = ",".join(sorted(re.sub(r"[^\w.=+\-]+", "_", override) for override in overrides))
    if len(text) > 80:
        from harness.spec.identity import digest

        text = digest({"overrides": sorted(overrides)})
    return f"~{text}" if text else ""


def copy_of(url: str, cache_dir: Path) -> Path:
    """Return where this machine has a copy of the runs that are kept under a URL."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    return cache_dir / "runs" / digest


def check_folder(folder: Path) -> None:
    """Find out before training whether a folder can be written, and may be."""
    machine = folder / "machine.json"
    if os.path.lexists(machine):
        read_json(machine)
    probe = folder / ".writable"
    write_atomically(probe, "")
    probe.unlink(missing_ok=True)  # another process may have looked, too


def fetch(url: str, plan: Plan, runs_dir: Path, announced: bool = False) -> None:
    """Have the records of runs that are kept under a URL; announce the question there."""
    if not url:
        return
    from harness.launch import mirror
    from harness.records.store import dump_yaml

    if announced:
        mirror.announce(url, dump_yaml(plan.settings()))
    mirror.bring(url, [run.name for run in plan.runs], runs_dir)


def set_aside(plan: Plan, runs_dir: Path) -> None:
    """Move earlier runs out of the way, where nobody trains them.

    Raises:
        RecordsError: if somebody does.
        OutputError: if they cannot be moved.
    """
    from harness.launch.lease import beating
    from harness.records.store import RunFolder

    if elsewhere := beating([runs_dir / run.name for run in plan.runs]):
        raise RecordsError(
            f"{elsewhere[0]}: another machine trains this run: stop it before --restart"
        )
    for run in plan.runs:
        folder = RunFolder(runs_dir / run.name)
        if folder.path.exists() and not folder.lock():
            raise RecordsError(
                f"{folder.path}: another process trains this run: stop it before --restart"
            )
        folder.unlock()
    if (runs_dir / "spec.yaml").exists():
        names = (runs_dir.with_name(f"{runs_dir.name}.old-{n}") for n in range(1, 1000))
        aside = next(path for path in names if not path.exists())
        try:
            runs_dir.rename(aside)
        except OSError as error:
            raise OutputError(f"{runs_dir}: cannot be moved aside ({error.strerror})") from None
        print(f"earlier runs are kept in {aside}")
