"""What the fault suite found, a row a case, as results/faults/ keeps it."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from fault_report import report

from harness.records.files import write_atomically, write_json
from harness.records.machine import describe
from harness.report.tabular import csv_text

TABLES: Mapping[str, tuple[str, ...]] = {
    # One killed run a row; `lost` names what differs from the run that was not killed.
    "kills": (
        *("model", "kill", "killed", "after_sec", "killed_at", "resumed_at", "iterations"),
        *("weights", "shadows", "rows", "samples", "lost"),
    ),
    "faults": ("fault", "done", "promised", "held"),
    "inputs": ("kind", "case", "found_by", "answer", "message"),
    "resume_cost": ("model", "iteration", "read_sec", "batches_replayed", "first_step_sec"),
}
"""Columns of each table."""


class Ledger:
    """Rows of the suite's tables; a row is added before the test that made it can fail."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}

    def add(self, table: str, **fields: Any) -> None:
        """Add a row, its fields by the names of ``TABLES``."""
        if set(fields) != set(TABLES[table]):
            raise ValueError(f"{table}: fields are {TABLES[table]}, got {tuple(fields)}")
        if any(gettempdir() in str(value) for value in fields.values()):
            raise ValueError(f"{table}: a row names the folder of its case: {fields}")
        self.rows[table].append(tuple(fields[name] for name in TABLES[table]))

    def write(self, folder: Path) -> None:
        """Write every table that has rows, a report on all, and what they were measured on."""
        for name, rows in self.rows.items():
            rows.sort(key=_place)
            if rows:
                write_atomically(folder / f"{name}.csv", csv_text(TABLES[name], rows))
        named = {
            name: [dict(zip(TABLES[name], row, strict=True)) for row in rows]
            for name, rows in self.rows.items()
        }
        write_atomically(folder / "report.md", report(named))
        write_json(folder / "machine.json", describe("cpu", "", 1))


def _place(row: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    """Return what rows are sorted by: numbers as numbers, before text."""
    kinds = [isinstance(value, int | float) for value in row]
    return [(not n, value if n else str(value)) for n, value in zip(kinds, row, strict=True)]
