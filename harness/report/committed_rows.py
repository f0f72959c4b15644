"""Rows and outcomes of a results folder, held to what runs write: anyone may have edited them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.records.rows import Columns, all_checked, checked
from harness.records.types import Row, Status
from harness.report.tabular import Table

MISSING = "missing"
"""Status of a run that the plan names and that left no records."""


def all_fine(rows: Table, known: Container[tuple[str, int]]) -> bool:
    """Tell whether every row is as ``check_each`` asks for; False is no verdict.

    Args:
        rows: columns ``ROW_TYPES``.
        known: levels and seeds of the plan.
    """
    of_run = {*zip(rows["run"], rows["level"], rows["seed"], strict=True)}
    if not all(run.isprintable() and (level, seed) in known for run, level, seed in of_run):
        return False
    try:
        return all_checked(Columns(*([*rows[name]] for name in Columns._fields)))
    except (RecordsError, ValueError):
        return False


def check_each(path: Path, table: Table, known: Container[tuple[str, int]]) -> None:
    """Hold each record of rows or outcomes to what runs write.

    Raises:
        RecordsError: naming the file's line that is not as it has to be.
    """
    for number, record in enumerate(zip(*table.values(), strict=True), 2):
        try:
            _check(record, known)
        except RecordsError as error:
            raise RecordsError(f"{path}:{number}: {error}") from None


def _check(record: Sequence[Any], known: Container[tuple[str, int]]) -> None:
    run, level, seed, *rest = record
    if (level, seed) not in known or not run.isprintable():
        raise RecordsError(f"level {level!r:.60}, seed {seed} is not in spec.yaml")
    if len(rest) == len(Row.__dataclass_fields__):
        arm, quantity, kimg, iteration, sec, value = rest
        checked(Row(quantity, arm, value, kimg, iteration, sec))
    elif rest[0] not in [*Status, MISSING] or not rest[1].isprintable():
        raise RecordsError(f"status {rest[0]!r:.60} is not one of {', '.join([*Status, MISSING])}")
