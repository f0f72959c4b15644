"""A run's folder made of another's, up to where the two part: whole, or not there.

The other run is its trunk. ``riders.json`` in a trunk's folder names the runs that ride along on
it, and have to wait for it; ``shared`` in a branch's ``machine.json`` says what it took over.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from harness.errors import RecordsError
from harness.records.files import read_json, sync, write_atomically, write_json, writing
from harness.records.machine_file import read_machine
from harness.records.store import CHECKPOINTS, RunFolder, dump_yaml
from harness.records.types import Row

RIDERS = "riders.json"
Looks = Mapping[int, Mapping[str, float]]
"""What a rule made of evaluations: its quantities by the iterations done."""

_OWN = re.compile(
    r"\.lock|\..*\.tmp|log\.txt|(outcome|machine|riders)\.json|spec\.yaml|rows\..*|" + CHECKPOINTS
)
"""What a branch has of its own."""
_OF_THE_END = ("weights.safetensors",)
_NUMBERED = ("samples", "mmengine")
"""Folders whose files end in the iteration that they are of."""
_NUMBER = re.compile(r"(\d+)\.\w+$")


class Place(TypedDict):
    """Where a run left its trunk."""

    trunk: str
    """The trunk's name."""
    iteration: int
    """Iterations done by then."""
    kimg: float
    """Thousands of real images shown by then."""
    sec: float
    """Seconds that the trunk had taken, which the branch's clocks begin with."""


def riders(folder: Path) -> tuple[str, ...]:
    """Return the names of the runs that ride along on a run.

    Raises:
        RecordsError: if the file is torn, or of a newer format.
    """
    path = folder / RIDERS
    if not path.exists():
        return ()
    names = read_json(path).get("runs")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecordsError(f"{path}: names no runs: was it cut off?")
    return tuple(names)


def write_riders(folder: Path, names: Collection[str]) -> None:
    """Say which runs ride along; with none there is no file.

    Halves of branches, which a killed process of the run left, are removed.

    Raises:
        OutputError: if the folder cannot be written.
    """
    path = folder / RIDERS
    if path.exists():
        for part in folder.parent.glob(f".*.{_mark(folder.name)}.tmp"):
            shutil.rmtree(part, ignore_errors=True)
    if names:
        write_json(path, {"runs": list(names)})
        return
    with writing(path):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def laid_down(folder: Path, trunk: str) -> Iterator[Path]:
    """Give an empty folder to be filled inside; it becomes ``folder`` at the end, or is removed.

    Should another process have made ``folder`` meanwhile, that one stays.

    Args:
        folder: of the branch.
        trunk: name of the trunk's folder, which this process trains alone.

    Raises:
        OutputError: if it cannot be written.
    """
    # What a killed process of this trunk left has the same name.
    part = folder.with_name(f".{folder.name}.{_mark(trunk)}.tmp")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir()
            yield part
            for name, _, files in os.walk(part):
                for path in (*map(Path(name).joinpath, files), Path(name)):
                    sync(path)
            with _unless_there():
                part.rename(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _mark(trunk: str) -> str:
    """Return what tells runs apart: their names end in a digest of 10 digits."""
    return trunk[-10:]


@contextlib.contextmanager
def _unless_there() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise


def fill(
    part: Path,
    trunk: RunFolder,
    settings: Mapping[str, Any],
    place: Place,
    rows: str,
    riders: Collection[str] = (),
    *,
    ended: bool = False,
) -> None:
    """Put into a branch's folder what it has in common with its trunk, and who it is.

    Args:
        part: the folder, empty.
        trunk: the trunk's.
        settings: the branch's own.
        place: where they part.
        rows: the branch's rows up to there, as a file holds them.
        riders: names of the runs that ride along on the branch.
        ended: whether they do not part, and what the trunk left at its end is the branch's, too.

    Raises:
        OSError, OutputError: if something cannot be read or written.
        RecordsError: if the trunk's machine.json is not as runs write it.
    """
    for path in sorted(trunk.path.iterdir()):
        if not _OWN.fullmatch(path.name) and (ended or path.name not in _OF_THE_END):
            _copy(path, part / path.name, None if ended else place["iteration"])
    machine = read_machine(trunk.path / "machine.json")
    machine["shared"] = [*machine.get("shared", []), dict(place)]
    write_json(part / "machine.json", machine)
    write_atomically(part / "spec.yaml", dump_yaml(settings))
    write_atomically(part / "rows.jsonl", rows)
    write_riders(part, riders)
    how = "as all of them are" if ended else "and this run goes on from there"
    told = f"the first {place['iteration']} iterations are those of {place['trunk']}, {how}\n"
    (part / "log.txt").write_text(told)


def _copy(source: Path, target: Path, until: int | None) -> None:
    """Copy a file or folder; of numbered files, none that an earlier attempt left from later on."""
    if not source.is_dir():
        shutil.copyfile(source, target)
        return
    numbered = until is not None and source.name in _NUMBERED

    def later(folder: str, names: list[str]) -> list[str]:
        files = [name for name in names if not (Path(folder) / name).is_dir()]
        return [name for name in files if numbered and not _by_then(name, until or 0)]

    shutil.copytree(source, target, ignore=later, copy_function=shutil.copyfile)


def _by_then(name: str, iteration: int) -> bool:
    found = _NUMBER.search(name)
    return found is not None and int(found[1]) <= iteration


def branch_rows(rows: str, looks: Looks) -> str:
    """Return a trunk's rows as a run with another rule has them.

    Args:
        rows: the trunk's, as their file holds them.
        looks: what the other rule made of the trunk's evaluations; empty for no rule.
    """
    lines: list[str] = []
    left, measured = dict(looks), None
    for line in rows.splitlines(keepends=True):
        row = json.loads(line)
        if "quantity" not in row:  # the header
            lines.append(line)
            continue
        if row["quantity"].startswith("reduce_lr/"):
            continue
        if row["arm"] != "run":
            measured = row["iteration"]
        elif measured == row["iteration"]:  # RecordHook has written every arm by now
            found = left.pop(measured, {})
            made = (Row(q, "run", v, row["kimg"], measured, row["sec"]) for q, v in found.items())
            lines += [json.dumps(one.as_dict()) + "\n" for one in made]
        lines.append(line)
    return "".join(lines)
