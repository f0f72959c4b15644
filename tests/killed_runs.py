"""Runs that are killed at chosen moments until they end, and what is left of them compared."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.engine import checkpoints
from harness.files.pickles import load_pickled_data, to_safetensors
from harness.launch.local import Running, execute
from harness.launch.worker import Machine, ended
from harness.plan.expand import Run
from harness.records.files import read_json
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Status

Due = Callable[[int, float, int], bool]
"""Whether to kill, by the process's steps, seconds since the last, and the newest checkpoint."""

_BESIDE = (
    *("log.txt", "machine.json", "outcome.json", "rows.attempt-", ".lock", "mmengine"),
    CHECKPOINTS,
)
"""What a run that was killed may have as it likes, by how the names begin."""
_COLUMNS = {"samples": "samples", "posthoc": "shadows", "trajectory": "shadows"}


@dataclass
class Case:
    """A run and the kills that it has to survive."""

    run: Run
    strikes: list[Due] = field(default_factory=list)
    """Still to come, one a process."""
    after_sec: list[float] = field(default_factory=list)
    killed_at: list[int] = field(default_factory=list)
    """The newest iteration on disk at each kill that struck."""
    resumed_at: list[int | None] = field(default_factory=list)
    """Where the run went on after each; None for a process killed before it could."""
    trace: list[tuple[int, float]] = field(default_factory=list)
    """Steps of its latest process, each with the process's age in seconds at it."""
    age: float = 0.0
    """Seconds of that process, when it was last seen alive."""
    _process: Running | None = None
    """The latest process, if it was killed."""
    _places: int = 0

    def watch(self, one: Running, newest: int) -> None:
        """Kill the process where that is due."""
        if self._process is one:
            return
        self.age, steps = time.monotonic() - one.since, one.told.beats
        if not self.trace or self.trace[-1][0] != steps:
            self.trace.append((steps, self.age))
        if self.strikes and self._due(newest):
            one.process.kill()
            self._process = one

    def _due(self, newest: int) -> bool:
        steps, since = self.trace[-1]
        return self.strikes[0](steps, self.age - since, newest)

    def note(self, path: Path) -> bool:
        """Note where the process that has ended went on, and whether it was killed; tell that."""
        here = newest(path)
        process, self._process = self._process, None
        struck = process is not None and process.process.exitcode == -signal.SIGKILL
        if self.killed_at:
            self._note_place(path, struck)
        if struck:
            self.strikes.pop(0)
            self.after_sec.append(self.age)
            self.killed_at.append(here)
            self.trace = []
        return struck

    def _note_place(self, path: Path, struck: bool) -> None:
        machine = path / "machine.json"  # not there yet if both were killed at their beginning
        places = read_json(machine).get("resumed", []) if machine.exists() else []
        if len(places) > self._places:
            self.resumed_at.append(places[-1]["iteration"])
        else:
            self.resumed_at.append(None if struck and self.killed_at[-1] else 0)
        self._places = len(places)


def run_to_the_end(cases: Sequence[Case], folder: Path, machine: Machine) -> None:
    """Start all runs side by side again and again, until each has finished.

    Raises:
        AssertionError: if one ends as something else without having been killed.
    """
    named = {case.run.name: case for case in cases}
    runs = [case.run for case in cases]

    def watch(active: list[Running]) -> None:
        for one in active:
            named[one.run.name].watch(one, newest(one.folder.path))

    while left := [case for case in cases if not ended(folder / case.run.name)]:
        outcomes = execute(runs, folder, machine, watch)
        for case in left:
            outcome = outcomes[case.run.name]
            struck = case.note(folder / case.run.name)
            assert struck or outcome.status is Status.FINISHED, outcome


def newest(run: Path) -> int:
    """Return the iterations done by a run's newest checkpoint, or by its end."""
    outcome = RunFolder(run).outcome()
    if outcome is not None and outcome.status is Status.FINISHED:
        return outcome.iteration
    found = checkpoints.find(run / CHECKPOINTS)
    return int(found[0].stem.partition("-")[2]) if found else 0


def differences(expected: Path, found: Path) -> dict[str, list[str]]:
    """Return what differs between two finished runs, by weights, shadows, rows, samples, files."""
    before, after = _contents(expected), _contents(found)
    return {
        column: sorted(
            name
            for name in before[column].keys() | after[column].keys()
            if before[column].get(name) != after[column].get(name)
        )
        for column in before
    }


def _contents(run: Path) -> dict[str, dict[str, object]]:
    """Return each part of a run's records by column and name, without what time decides."""
    columns = {name: {} for name in ("weights", "shadows", "rows", "samples", "files")}
    for name, value in load_pickled_data(run / "weights.safetensors").items():
        shadow = name.partition(".")[0].endswith("_ema")
        columns["shadows" if shadow else "weights"][name] = to_safetensors({name: value})
    for number, row in enumerate(RunFolder(run).rows()):
        timed = row.quantity.startswith(("time/", "memory/"))
        value = None if timed else row.value.hex()  # NaN equals itself so
        name = f"row {number}, {row.quantity}/{row.arm} at {row.iteration}"
        columns["rows"][name] = (row.kimg, value)
    for path in run.rglob("*"):
        inside = path.relative_to(run)
        if path.is_file() and path.name != "rows.jsonl" and not str(inside).startswith(_BESIDE):
            columns[_COLUMNS.get(inside.parts[0], "files")][str(inside)] = _content(path)
    return columns


def _content(path: Path) -> object:
    """Return a file's bytes; of safetensors, the header as what it says: its order is chance."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    begin = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:begin]), data[begin:]
