"""Tables as the page shows them: what each cell sorts by, and decimals below decimals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from harness.report.text import REAL_IMAGES, Table, leading_number, plain

_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.(\d+))?")
_MOST_PADDING = 8


class GridCell(NamedTuple):
    """A cell: its text, what it sorts by, and how many decimals it has less than its column.

    ``whole`` says that it has no decimal point where others of its column have one.
    """

    text: str
    sort: str
    padding: int
    whole: bool


class Grid(NamedTuple):
    """A table; ``foot`` are the rows of the real images, which stay below."""

    head: Sequence[str]
    words: int
    body: Sequence[Sequence[GridCell]]
    foot: Sequence[Sequence[GridCell]]


def grid(table: Table) -> Grid:
    """Return a table with what sorting and aligning need."""
    columns = [[row[place] for row in table.rows] for place in range(len(table.head))]
    paddings = [
        [(0, False)] * len(column) if place < table.words else _paddings(column)
        for place, column in enumerate(columns)
    ]
    rows = [
        [
            GridCell(text, _sort(text, place < table.words), *paddings[place][number])
            for place, text in enumerate(row)
        ]
        for number, row in enumerate(table.rows)
    ]
    real = [REAL_IMAGES in row for row in table.rows]
    return Grid(
        table.head,
        table.words,
        [row for row, last in zip(rows, real, strict=True) if not last],
        [row for row, last in zip(rows, real, strict=True) if last],
    )


def _sort(text: str, word: bool) -> str:
    if word:
        return plain(text)
    number = leading_number(text)
    return "" if number is None else repr(number)


def _paddings(column: Sequence[str]) -> list[tuple[int, bool]]:
    found = [_PLAIN_NUMBER.fullmatch(plain(text)) for text in column]
    decimals = [len(number[1] or "") if number else None for number in found]
    most = max((d for d in decimals if d is not None), default=0)
    return [
        (0, False) if d is None else (min(most - d, _MOST_PADDING), d == 0 < most) for d in decimals
    ]
