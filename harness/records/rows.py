"""What a row of a run may hold, and a file of them read back: anyone may have written it."""

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from harness.errors import RecordsError
from harness.records.files import check_format, read_record
from harness.records.quantities import lookup
from harness.records.types import Row

_MOST = 2**53
"""Whole numbers that floats hold exactly."""


class Columns(NamedTuple):
    """Rows by their fields, each a list."""

    quantity: list[str]
    arm: list[str]
    value: list[float]
    kimg: list[float]
    iteration: list[int]
    sec: list[float]


_FIELDS = itemgetter(*Columns._fields)
_ODD = (ValueError, TypeError, LookupError, OverflowError, RecursionError)


def read_columns(path: Path) -> Columns:
    """Return all whole rows of a file; a last line cut off by a crash is left out.

    Raises:
        RecordsError: naming the line that is not as runs write it.
    """
    lines = _lines(path)
    found = _at_once(lines[1:]) or _columns(list(_read(path, lines)))
    value, kimg, sec = (list(map(float, c)) for c in (found.value, found.kimg, found.sec))
    return found._replace(value=value, kimg=kimg, sec=sec)


def read_rows(path: Path) -> list[Row]:
    """Return all whole rows of a file, as ``read_columns``."""
    return list(_read(path, _lines(path)))


def _lines(path: Path) -> list[str]:
    """Return the whole lines of a file, the first of a known format; none where it is missing."""
    if not os.path.lexists(path):
        return []
    lines = read_record(path).splitlines(keepends=True)
    if not lines or not lines[0].endswith("\n"):
        raise RecordsError(f"{path}:1: holds no format: was it cut off?")
    try:
        check_format(path, json.loads(lines[0]).get("format"))
    except (ValueError, AttributeError, RecursionError):
        raise RecordsError(f"{path}:1: is not a row") from None
    return lines if lines[-1].endswith("\n") else lines[:-1]


def _read(path: Path, lines: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(lines[1:], 2):
        if not line.endswith("\n"):
            return
        try:
            yield checked(Row(**json.loads(line)))
        except (ValueError, TypeError, RecursionError):
            raise RecordsError(f"{path}:{number}: is not a row") from None
        except RecordsError as error:
            raise RecordsError(f"{path}:{number}: {error}") from None


def _columns(rows: Sequence[Row]) -> Columns:
    return Columns(*([getattr(row, name) for row in rows] for name in Columns._fields))


def _at_once(lines: Sequence[str]) -> Columns | None:
    """Return the columns of lines that are all as runs write them; None where one may not be.

    A report over many runs spends much of its time here.
    """
    import orjson  # takes as long to load as to read a hundred runs

    try:
        try:
            rows = [*map(orjson.loads, lines)]
        except orjson.JSONDecodeError:  # it knows no NaN
            rows = [*map(json.loads, lines)]
        columns = Columns(*map(list, zip(*map(_FIELDS, rows), strict=True)))
        fine = set(map(len, rows)) == {len(columns)} and all_checked(columns)
    except (*_ODD, RecordsError):
        return None
    return columns if fine else None


def all_checked(columns: Columns) -> bool:
    """Tell whether every row is as ``checked`` asks for, each number but iterations a float.

    False is no verdict: ``checked`` says what is wrong, or that a row is unusual and sound.

    Raises:
        RecordsError: if a quantity is not known.
    """
    if not all(map(str.isprintable, {*columns.quantity, *columns.arm})):
        return False
    for name in set(columns.quantity):
        lookup(name)
    numbers = (columns.value, columns.kimg, columns.sec)
    return (
        all({*map(type, column)} == {float} for column in numbers)
        and all(min(column) >= 0 and all(map(math.isfinite, column)) for column in numbers[1:])
        and {*map(type, columns.iteration)} == {int}
        and 0 <= min(columns.iteration) <= max(columns.iteration) <= _MOST
    )


def checked(row: Row) -> Row:
    """Return a row whose fields are of the types and in the ranges that runs write.

    Raises:
        RecordsError: naming the field and its value.
    """
    for name in ("quantity", "arm"):
        value = getattr(row, name)
        if not isinstance(value, str) or not value.isprintable():
            raise RecordsError(f"{name} {value!r:.60} is not a name")
    lookup(row.quantity)
    if type(row.value) not in (int, float) or (
        isinstance(row.value, int) and abs(row.value) > _MOST
    ):
        raise RecordsError(f"value {row.value!r:.60} is not a number")
    for name in ("kimg", "sec"):
        value = getattr(row, name)
        most = _MOST if type(value) is int else sys.float_info.max
        if type(value) not in (int, float) or not 0 <= value <= most:
            raise RecordsError(f"{name} {value!r:.60} is not a number of at least 0")
    if type(row.iteration) is not int or not 0 <= row.iteration <= _MOST:
        raise RecordsError(f"iteration {row.iteration!r:.60} is not a count")
    return row
