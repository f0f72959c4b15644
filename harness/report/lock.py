"""``results.lock``: ties a results folder's tables to its rows, and its rows to their origin.

::

    format 1
    question pggan-ema, quick, 5c1d2e3f4a         the spec's name, tier and digest
    source 23588ee028cb of d2d81065 clean         what the runs ran on and with, a fact a line
    run seed0-916fd9577b finished 441 <sha256>    its rows, as runs.csv has them
    evidence runs.csv <sha256>                    what was asked and measured
    picture curves.png <sha256>                   drawn when the folder was written
    table report.md <sha256>                      what follows from the evidence, to the byte

One fact a line, in a fixed order, without clocks: what changes in a folder changes in the file.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.files.plain import opened
from harness.records.files import check_format, read_record, write_atomically
from harness.records.machine import kind
from harness.records.types import FORMAT
from harness.report.frames import Results, rows_text
from harness.spec.identity import digest
from harness.spec.yaml_text import parse

LOCK = "results.lock"
TABLES = ("report.md", "report.html", "summary.csv", "timing.csv")
"""Files that follow from the evidence, to the byte."""
_LARGEST_BYTES = 2**26
"""Of 100,000 runs with the longest names, and some more."""
_FILES = frozenset({"evidence", "picture", "table"})
_STATES: Mapping[Any, str] = {True: " clean", False: " with uncommitted changes"}


def write_lock(results: Results, folder: Path) -> None:
    """Write the lock of a folder whose other files are as they shall be.

    Raises:
        OutputError: if it cannot be written.
        RecordsError: if a file cannot be read.
    """
    write_atomically(folder / LOCK, _text(results, folder))


def check_lock(results: Results, folder: Path, but: Collection[str] = ()) -> list[str] | None:
    """Return what of a folder is not as its lock has it, a line each; None without a lock.

    Args:
        results: what the folder holds.
        folder: of the files.
        but: files that are not looked at.

    Raises:
        RecordsError: if the lock is torn or of a newer format, or a file cannot be read.
    """
    path = folder / LOCK
    if not os.path.lexists(path):
        return None
    left_out = {("file", name) for name in but}
    text = _text(results, folder)
    locked, found = _facts(_read(path)), _facts(text)
    differ = [
        f"{path}: {_difference(about, about in locked, about in found)}"
        for about in dict.fromkeys([*locked, *found])
        if about not in left_out and locked.get(about) != found.get(about)
    ]
    if differ or but or _read(path) == text:
        return differ
    return [f"{path}: its lines are not as they are written: --update writes them anew"]


def _text(results: Results, folder: Path) -> str:
    plan = results.plan
    # As it was written: a later harness may read more into it.
    asked = digest(parse(read_record(folder / "spec.yaml"))[0])
    lines = [
        f"format {FORMAT}",
        f"question {_printed(plan.experiment)}, {plan.tier}, {asked}",
        *dict.fromkeys(_origins(results)),
        *_runs(results),
        *(f"{_word(name)} {_shown(name)} {_sha256(folder / name)}" for name in _files(folder)),
    ]
    return "\n".join([*lines, ""])


def _word(name: str) -> str:
    if name in TABLES:
        return "table"
    return "picture" if name.endswith((".png", ".gif", ".mp4")) else "evidence"


def _origins(results: Results) -> Iterator[str]:
    """Say what the runs ran on: each kind of machine, source and version."""
    for machine in (results.machine, *results.machine.get("also", ())):
        source = machine.get("source") or {}
        commit = f" of {_printed(source['commit'])}" if source.get("commit") else ""
        state = _STATES.get(source.get("clean"), "")
        yield f"machine {kind(machine)} {_printed(machine.get('device'))}"
        yield f"source {_printed(source.get('digest'))}{commit}{state}"
        yield f"version python {_printed(machine.get('python'))}"
        for names in ("libraries", "data_libraries"):
            versions: Mapping[str, Any] = machine.get(names) or {}
            yield from (f"version {_printed(n)} {_printed(v)}" for n, v in versions.items())


def _printed(value: object) -> str:
    return _shown(" ".join(str(value).split()))


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _runs(results: Results) -> Iterator[str]:
    """Tie each run's rows to its name, which holds the digest of its settings."""
    header, *lines = rows_text(results).splitlines(keepends=True)
    own: dict[str, list[str]] = {}
    begin = 0
    for run, rows_of_run in groupby(results.rows["run"]):
        end = begin + len([*rows_of_run])
        own.setdefault(run, [header]).extend(lines[begin:end])
        begin = end
    for run, status in zip(results.outcomes["run"], results.outcomes["status"], strict=True):
        rows = own.get(run, [header])
        content = hashlib.sha256("".join(rows).encode()).hexdigest()
        yield f"run {_printed(run)} {status} {len(rows) - 1} {content}"


def _files(folder: Path) -> list[str]:
    """Return the names of the folder's files but the lock's; hidden ones are not the harness's."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        at = Path(place).relative_to(folder)
        found += [(at / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(name for name in found if name != LOCK)


def _sha256(path: Path) -> str:
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read ({error.strerror})") from None


def _read(path: Path) -> str:
    text = read_record(path, _LARGEST_BYTES)
    word, _, version = text.partition("\n")[0].partition(" ")
    if word != "format" or not (version.isdecimal() and version.isascii() and len(version) < 9):
        raise RecordsError(f"{path}:1: is no lock of a results folder: was it cut off?")
    check_format(path, int(version))
    return text


_Fact = tuple[str, str]


def _facts(text: str) -> dict[_Fact, str]:
    """Return what a lock says, by what it says it of: a file, a run, or the line itself."""
    found: dict[_Fact, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        word, _, rest = line.partition(" ")
        if word in _FILES:
            name, _, content = rest.rpartition(" ")
            found["file", name] = content
        elif word == "run":
            name, _, content = rest.partition(" ")
            found["run", name] = content
        else:
            found["line", line] = ""
    return found


def _difference(about: _Fact, locked: bool, found: bool) -> str:
    word, name = about
    if word == "line":
        return f"says {name!r:.200}, which is not so" if locked else f"does not say {name!r:.200}"
    what = name if word == "file" else f"rows of {name}"
    if locked and found:
        return f"{what}: not what was locked"
    return f"{what}: missing" if locked else f"{what}: added after it was locked"
