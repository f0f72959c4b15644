"""The folders: whether they can be written, and what earlier runs left in them."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from harness.doctor.finding import Finding, State, counted, shown, size, some
from harness.errors import RecordsError
from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status

_found = partial(Finding, "Folders")

_RECORDS = ("rows.jsonl", "outcome.json")
"""Files that make a folder a run's."""
_UNENDED = "without an end (under way, or killed)"
_UNFINISHED = (_UNENDED, Status.INTERRUPTED, Status.FAILED)
_TEMPORARY = ("*.tmp", "*.reference.????????")
_AT_WORK_SEC = 600.0
"""A file being written is younger: it takes its name as soon as it is whole."""


def writable(name: str, folder: Path) -> Finding:
    """Write a file where a folder is, or will be, and remove it again."""
    path = folder.expanduser().absolute()
    place = next(one for one in (path, *path.parents) if os.path.lexists(one))
    what = f"make it writable, or choose another folder{_option(name)}"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"0")
    except NotADirectoryError:
        return _found(name, State.PROBLEM, f"{shown(place)} is a file, not a folder", what)
    except OSError as error:
        text = f"{shown(place)} cannot be written ({error.strerror})"
        return _found(name, State.PROBLEM, text, what)
    found = "can be written" if place == path else "will be made"
    return _found(name, State.OK, f"{shown(folder)}/ {found}")


def _option(name: str) -> str:
    return f" with --{name}" if name in ("runs", "results") else " in HARNESS_CACHE"


def leftovers(folders: Iterable[Path], now: float) -> Finding:
    """Count temporary files that a crash left behind.

    Args:
        folders: looked through to any depth.
        now: seconds since 1970; files changed shortly before may be at work.
    """
    old, gib = Counter[Path](), 0.0
    for folder in folders:
        for status in _temporary(folder):
            if now - status.st_mtime > _AT_WORK_SEC:
                old[folder] += 1
                gib += status.st_size / 2**30
    if not old:
        return _found("leftovers", State.OK, "no temporary files of crashes")
    where = ", ".join(f"{count} in {shown(folder)}/" for folder, count in old.items())
    text = f"temporary files of crashes, {size(gib)}: {where}"
    places = " ".join(shown(folder) for folder in old)
    names = " -o ".join(f"-name '{pattern}'" for pattern in _TEMPORARY)
    what = f"no run needs them: find {places} \\( {names} \\) -mmin +10 -delete"
    return _found("leftovers", State.WARNING, text, what)


def _temporary(folder: Path) -> Iterator[os.stat_result]:
    for place, _, files in os.walk(folder.expanduser()):
        for file in files:
            if any(fnmatchcase(file, pattern) for pattern in _TEMPORARY):
                yield os.lstat(os.path.join(place, file))


def runs(folder: Path, asked: bool) -> Finding:
    """Count the runs below a folder by how they ended.

    Args:
        asked: whether they are a spec's, which an unreadable one is in the way of.
    """
    counts, broken = Counter[str](), []
    for path in sorted({file.parent for name in _RECORDS for file in folder.rglob(name)}):
        try:
            outcome = RunFolder(path).outcome()
            if (path / "machine.json").exists():
                read_json(path / "machine.json")
        except (RecordsError, KeyError, ValueError) as error:
            reason = str(error) if isinstance(error, RecordsError) else "outcome.json is incomplete"
            broken.append(reason if shown(path) in reason else f"{shown(path)}: {reason}")
        else:
            counts[_UNENDED if outcome is None else outcome.status] += 1
    if broken:
        state = State.PROBLEM if asked else State.WARNING
        what = "move these folders away: their runs are then trained anew"
        return _found("earlier runs", state, some(broken), what)
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    if any(counts[status] for status in _UNFINISHED):
        what = "harness run SPEC goes on with them; log.txt of a failed one says why it failed"
        return _found("earlier runs", State.WARNING, text, what)
    return _found("earlier runs", State.OK, text or f"none in {shown(folder)}/")


def reports(folder: Path, asked: bool) -> Finding:
    """Look whether this harness reads the results below a folder.

    Args:
        asked: whether they are a spec's, whose report would be written there.
    """
    machines, broken = sorted(folder.rglob("machine.json")), []
    for machine in machines:
        try:
            read_json(machine)
        except RecordsError as error:
            broken.append(str(error))
    if broken:
        state = State.PROBLEM if asked else State.WARNING
        what = "update gan-harness, or write to another folder with --results"
        return _found("earlier results", state, some(broken, 1), what)
    text = (
        f"{counted(len(machines), 'report')}, all readable"
        if machines
        else f"none in {shown(folder)}/"
    )
    return _found("earlier results", State.OK, text)
