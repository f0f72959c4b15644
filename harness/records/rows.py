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
    body = _body(path)
    return _at_once(body) or _columns(list(_read(path, body)))


def read_rows(path: Path) -> list[Row]:
    """Return all whole rows of a file, as ``read_columns``."""
    return list(_read(path, _body(path)))


def _body(path: Path) -> str:
    """Return what whole lines follow the first, which is of a known format; none if missing."""
    if not os.path.lexists(path):
        return ""
    text = read_record(path)
    header = text[: text.find("\n") + 1]
    if not header:
        raise RecordsError(f"{path}:1: holds no format: was it cut off?")
    try:
        check_format(path, json.loads(header).get("format"))
    except (ValueError, AttributeError, RecursionError):
        raise RecordsError(f"{path}:1: is not a row") from None
    return text[len(header) : text.rfind("\n") + 1]


def _read(path: Path, body: str) -> Iterator[Row]:
    for number, line in enumerate(body.split("\n")[:-1], 2):
        try:
            yield checked(Row(**json.loads(line)))
        except (ValueError, TypeError, RecursionError):
            raise RecordsError(f"{path}:{number}: is not a row") from None
        except RecordsError as error:
            raise RecordsError(f"{path}:{number}: {error}") from None


def _columns(rows: Sequence[Row]) -> Columns:
    found = Columns(*([getattr(row, name) for row in rows] for name in Columns._fields))
    value, kimg, sec = (list(map(float, c)) for c in (found.value, found.kimg, found.sec))
    return found._replace(value=value, kimg=kimg, sec=sec)


def _at_once(body: str) -> Columns | None:
    """Return the columns of lines that are all as runs write them; None where one may not be.

    A report over many runs spends much of its time here.
    """
    import orjson  # takes as long to load as to read a hundred runs

    between = "}\n{"
    alone = body.startswith("{") and body.endswith("}\n") and body.isascii()
    # A brace opens each line, none is within, and no text in JSON goes over a line's end: so each
    # line is an object of its own, and all of them are as well read as one list.
    if not (alone and body.count("{") == body.count("\n") == body.count(between) + 1):
        return None
    text = "[" + body.replace(between, "},\n{") + "]"
    try:
        try:
            rows = orjson.loads(text)
        except orjson.JSONDecodeError:  # it knows no NaN
            rows = json.loads(text)
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
        # Of all numbers of an evaluation one is enough.
        and all(min(when) >= 0 and all(map(math.isfinite, when)) for when in map(set, numbers[1:]))
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
