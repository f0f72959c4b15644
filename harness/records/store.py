"""A run's folder: written atomically, versioned, readable without this package.

::

    spec.yaml       the run's complete, resolved spec, written before the first step
    machine.json    what it ran on, with versions and the source's state
    protocols.json  how each metric is measured, written before the first row
    rows.jsonl      a header line {"format": 1}, then one measured number a line, only appended
    checkpoints/    while it trains: all that a resume needs, the newest few
    riders.json     where other runs ride along on this one: their names
    outcome.json    finished | diverged | failed | interrupted, with the reason
    samples/        pictures, a film of training, neighbours
    weights.safetensors   the trained networks and shadows
    posthoc/        snapshots of averages, where the spec asks for them
    log.txt         what was printed
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, TypedDict

from filelock import FileLock, Timeout

from harness.errors import RecordsError
from harness.records.files import (
    read_json,
    write_atomically,
    write_json,
    writing,
)
from harness.records.rows import Columns, read_columns, read_rows
from harness.records.types import FORMAT, Outcome, Row, Status
from harness.spec.yaml_text import dump

_HEADER = json.dumps({"format": FORMAT}) + "\n"
CHECKPOINTS = "checkpoints"


_TAIL_BYTES = 2**16
"""Rows are only appended, and hold clocks: their end tells them from any others, at any length."""


class RowsMark(TypedDict):
    """How far a run's rows went: their length, and what the last 64 KiB of them were."""

    bytes: int
    sha256: str


class RunFolder:
    """The records of one run, for writing while it runs and for reading afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows_file = path / "rows.jsonl"
        self._rows: FileIO | None = None

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(self.path / ".lock")

    def lock(self, wait_sec: float = 0.0) -> bool:
        """Take the run for this process, until it ends or unlocks it; False if another has it.

        Raises:
            OutputError: if the folder cannot be written.
        """
        with writing(self.path):
            try:
                self._lock.acquire(timeout=wait_sec)
            except Timeout:  # an OSError, too
                return False
        return True

    def unlock(self) -> None:
        """Leave the run to others."""
        self._lock.release()

    def begin(
        self, spec: Mapping[str, Any], machine: Mapping[str, Any], after: RowsMark | None = None
    ) -> None:
        """Open a run: its spec and machine are on disk before the first step.

        Rows of an earlier attempt are kept beside, numbered: all of them, or those beyond the mark
        after which the run goes on, which will be measured again.

        Args:
            spec: the run's resolved spec.
            machine: what it runs on.
            after: what ``holds``.

        Raises:
            OutputError: if the folder cannot be written.
        """
        with writing(self.path):
            for left in self.path.rglob(".*.tmp"):  # of a process that was killed while it wrote
                left.unlink(missing_ok=True)
            (self.path / "outcome.json").unlink(missing_ok=True)
        write_atomically(self.path / "spec.yaml", dump_yaml(spec))
        write_json(self.path / "machine.json", machine)
        if after is not None:
            self._cut_back(after["bytes"])
            return
        if self.rows_file.exists():
            with writing(self.rows_file):
                self.rows_file.rename(self._attempt())
        write_atomically(self.rows_file, _HEADER)

    def mark(self) -> RowsMark:
        """Return how far the rows have come."""
        size = self.rows_file.stat().st_size
        return {"bytes": size, "sha256": self._tail_digest(size)}

    def holds(self, mark: RowsMark) -> bool:
        """Tell whether the rows up to a mark are those that were there when it was made."""
        try:
            long_enough = self.rows_file.stat().st_size >= mark["bytes"]
            return long_enough and self._tail_digest(mark["bytes"]) == mark["sha256"]
        except OSError:
            return False

    def _tail_digest(self, end: int) -> str:
        begin = max(0, end - _TAIL_BYTES)
        with self.rows_file.open("rb") as file:
            file.seek(begin)
            return hashlib.sha256(file.read(end - begin)).hexdigest()

    def append(self, rows: Iterable[Row]) -> None:
        """Append rows; each call reaches the disk, whole, before it returns.

        Raises:
            OutputError: if they cannot be written; none of them is left in part.
        """
        text = "".join(json.dumps(row.as_dict()) + "\n" for row in rows)
        with writing(self.rows_file):
            if self._rows is None:
                self._rows = self.rows_file.open("ab", buffering=0)
            _write_whole(self._rows, text.encode())

    def end(self, outcome: Outcome) -> None:
        """Write how the run ended; one that has finished needs its checkpoints no longer."""
        if self._rows is not None:
            self._rows.close()
            self._rows = None
        write_json(
            self.path / "outcome.json",
            {
                "status": outcome.status.value,
                "reason": outcome.reason,
                "iteration": outcome.iteration,
                "sec": outcome.sec,
            },
        )
        if outcome.status is Status.FINISHED:
            shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def _cut_back(self, size: int) -> None:
        with self.rows_file.open("rb") as file:
            file.seek(size)
            later = file.read()
        if later:
            write_atomically(self._attempt(), _HEADER.encode() + later)
            with writing(self.rows_file):
                os.truncate(self.rows_file, size)

    def _attempt(self) -> Path:
        attempts = len(list(self.path.glob("rows.attempt-*.jsonl")))
        return self.path / f"rows.attempt-{attempts + 1}.jsonl"

    def outcome(self) -> Outcome | None:
        """Return how the run ended, or None while it has not."""
        path = self.path / "outcome.json"
        if not os.path.lexists(path):
            return None
        value = read_json(path)
        reason, iteration, sec = value.get("reason"), value.get("iteration"), value.get("sec")
        if value.get("status") not in [*Status]:
            known = ", ".join(Status)
            raise RecordsError(f"{path}: status {value.get('status')!r:.60} is not one of {known}")
        match reason, iteration, sec:
            case str(), int(), int() | float():
                return Outcome(Status(value["status"]), reason, iteration, sec)
        raise RecordsError(f"{path}: reason, iteration and sec are not text and two numbers")

    def rows(self) -> list[Row]:
        """Return all whole rows; a last line cut off by a crash is left out."""
        return read_rows(self.rows_file)

    def columns(self) -> Columns:
        """Return the same by their fields, much faster."""
        return read_columns(self.rows_file)


def _write_whole(file: FileIO, data: bytes) -> None:
    """Append all of the data, or nothing."""
    before = os.fstat(file.fileno()).st_size
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise


def dump_yaml(value: Mapping[str, Any]) -> str:
    """Return YAML in the given order, readable and without aliases."""
    return dump(value)
