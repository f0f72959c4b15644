"""CSV to the byte: the shortest text of a float that gives back its bits, read strictly."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.errors import RecordsError
from harness.records.files import read_record

Table = Mapping[str, Sequence[Any]]
"""Columns of one length by their names."""
_SOME = 1000
"""Values that tell whether a column's repeat."""


def csv_text(
    columns: Sequence[str], records: Iterable[Sequence[Any]], digits: int | None = None
) -> str:
    """Return CSV with a header; None as an empty field.

    Args:
        columns: the header.
        records: a sequence of fields for each line.
        digits: significant digits of floats; None for the shortest text that gives back their bits.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    # csv writes None as nothing, and a float as its repr.
    writer.writerows(records if digits is None else (_rounded(r, digits) for r in records))
    return file.getvalue()


def table_text(table: Table) -> str:
    """Return a table as ``csv_text`` of its records, a column at a time.

    Args:
        table: each column of text, or of numbers.
    """
    header = csv_text([*table], [])
    columns = ([*_texts(column)] for column in table.values())
    return "\n".join([header.removesuffix("\n"), *map(",".join, zip(*columns, strict=True)), ""])


def _texts(column: Sequence[Any]) -> Iterable[str]:
    if column and isinstance(column[0], str):
        return map(_as_written({*column}).__getitem__, column)
    some = column[:_SOME]
    if 4 * len({*some}) > len(some) or len({*map(type, column)}) > 1:
        return map(repr, column)
    distinct = {*column}
    if 0 in distinct:  # 0.0 and -0.0 are one, and written apart
        return map(repr, column)
    return map({value: repr(value) for value in distinct}.__getitem__, column)


def _as_written(texts: Collection[str]) -> dict[str, str]:
    """Return texts as csv writes them, quoted where they have to be."""
    lines: list[str] = []
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\n")
    writer.writerows((text, "") for text in texts)
    return {text: line[:-2] for text, line in zip(texts, lines, strict=True)}


def read_csv(path: Path, types: Mapping[str, Callable[[str], Any]]) -> dict[str, list[Any]]:
    """Return the columns of a CSV that are exactly ``types``, in order.

    Raises:
        RecordsError: naming the line, if the file is missing, cut off or of other columns.
    """
    text = read_record(path)
    try:
        header, *lines = list(csv.reader(io.StringIO(text))) or [[]]
    except csv.Error as error:
        raise RecordsError(f"{path}: is not a table ({error})") from None
    if header != list(types):
        raise RecordsError(f"{path}:1: the columns are not {','.join(types)}")
    if not text.endswith("\n"):
        raise RecordsError(f"{path}: the last line has no end: was the file cut off?")
    try:
        columns = [*zip(*lines, strict=True)] or [()] * len(types)
        pairs = zip(types.items(), columns, strict=True)
        return {name: [*map(kind, column)] for (name, kind), column in pairs}
    except ValueError:
        raise _first_wrong(path, lines, types) from None


def _rounded(record: Sequence[Any], digits: int) -> list[Any]:
    return [float(f"{v:.{digits}g}") if isinstance(v, float) else v for v in record]


def _first_wrong(
    path: Path, lines: Sequence[Sequence[str]], types: Mapping[str, Callable[[str], Any]]
) -> RecordsError:
    """Return what is wrong with the first line that has other fields than ``types``."""
    for number, line in enumerate(lines, 2):
        if len(line) != len(types):
            return RecordsError(f"{path}:{number}: holds {len(line)} fields, not {len(types)}")
        for (column, kind), field in zip(types.items(), line, strict=True):
            try:
                kind(field)
            except ValueError:
                return RecordsError(f"{path}:{number}: {column} {field!r} is not a number")
    raise AssertionError("every line has the fields")
