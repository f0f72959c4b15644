"""What a row of a run may hold: a file may have been written by anyone."""

import math

from harness.errors import RecordsError
from harness.records.quantities import lookup
from harness.records.types import Row

_MOST = 2**53
"""Whole numbers that floats hold exactly."""


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
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise RecordsError(f"{name} {value!r:.60} is not a number of at least 0")
    if type(row.iteration) is not int or not 0 <= row.iteration <= _MOST:
        raise RecordsError(f"iteration {row.iteration!r:.60} is not a count")
    return row
