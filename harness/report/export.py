"""Results as files for other programs: CSV, Parquet, and LaTeX for a paper."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import OutputError
from harness.records.files import write_atomically
from harness.report.columns import COLUMNS
from harness.report.frames import evidence
from harness.report.latex import latex_table, table_name
from harness.report.tabular import csv_text
from harness.report.tidy import Frames, tidied

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "latex", "parquet")


def export(folders: Sequence[Path], to: Path, formats: Collection[str]) -> list[Path]:
    """Write results folders' frames and tables into a folder; return the files.

    ``NAME.csv`` and ``NAME.parquet`` for each frame of ``frames.load``, ``columns.csv`` with the
    columns' units and meanings beside CSV, and ``QUESTION-TIER.tex`` for each results folder.

    Raises:
        OutputError: if ``to`` is a results folder or cannot be written, or Parquet's library is
            missing.
        RecordsError: if a results folder cannot be read.
    """
    refuse_results(to)
    found = {folder.as_posix(): evidence(folder) for folder in folders}
    files: dict[str, str | bytes] = {}
    if {"csv", "parquet"} & {*formats}:
        frames = tidied(found)
        files |= dict(_csv(frames)) if "csv" in formats else {}
        files |= dict(_parquet(frames)) if "parquet" in formats else {}
    if "latex" in formats:
        for results in found.values():
            files[_unused(table_name(results), files)] = latex_table(results)
    for name, content in files.items():
        write_atomically(to / name, content)
    return [to / name for name in files]


def refuse_results(folder: Path) -> None:
    """Refuse to write beside evidence, whose files have the same names.

    Raises:
        OutputError: if the folder holds results or runs.
    """
    if os.path.lexists(folder / "machine.json"):
        raise OutputError(f"{folder}: holds results, which stay as they are: name another folder")


def _each(frames: Frames) -> Iterator[tuple[str, pd.DataFrame]]:
    return ((field.name, getattr(frames, field.name)) for field in fields(frames))


def _csv(frames: Frames) -> Iterator[tuple[str, str]]:
    known = dict.fromkeys(column for _, frame in _each(frames) for column in frame.columns)
    said = [(name, COLUMNS[name].unit, COLUMNS[name].meaning) for name in known if name in COLUMNS]
    yield "columns.csv", csv_text(("column", "unit", "meaning"), said)
    for name, frame in _each(frames):
        yield f"{name}.csv", frame.to_csv(index=False, lineterminator="\n")


def _parquet(frames: Frames) -> Iterator[tuple[str, bytes]]:
    try:
        import pyarrow as _  # noqa: F401
    except ImportError:
        raise OutputError(
            "parquet: needs pyarrow, which is not installed: pip install 'gan-harness[parquet]'"
        ) from None
    for name, frame in _each(frames):
        file = io.BytesIO()
        frame.to_parquet(file, index=False, engine="pyarrow")
        yield f"{name}.parquet", file.getvalue()


def _unused(stem: str, names: Collection[str]) -> str:
    """Return a table's file name; the same question's on another machine is numbered."""
    numbered = (f"{stem}{'' if n == 1 else f'-{n}'}.tex" for n in range(1, len(names) + 2))
    return next(name for name in numbered if name not in names)
