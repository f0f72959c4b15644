"""A run's folder as a process has it that leaves writing to another one."""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.records.store import RowsMark, RunFolder
from harness.records.types import Outcome, Row


class SilentFolder(RunFolder):
    """Neither locks nor writes; reads as any."""

    def lock(self, wait_sec: float = 0.0) -> bool:
        """Leave the lock to the process that writes."""
        return True

    def unlock(self) -> None:
        """Leave it there."""

    def begin(
        self, spec: Mapping[str, Any], machine: Mapping[str, Any], after: RowsMark | None = None
    ) -> None:
        """Write nothing."""

    def append(self, rows: Iterable[Row]) -> None:
        """Write nothing."""

    def end(self, outcome: Outcome) -> None:
        """Write nothing."""
