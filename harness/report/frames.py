"""All runs of a question as one tidy table, from the runs' folders or from committed results."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.errors import RecordsError
from harness.plan.arms import Arm, arms
from harness.plan.expand import Plan, Run, from_settings
from harness.records import predicted as predictions
from harness.records import protocols
from harness.records.files import read_record
from harness.records.machine_file import read_machine
from harness.records.protocols import Protocol, plain
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.report.committed_rows import MISSING, all_fine, check_each
from harness.report.machines import machine_of
from harness.report.tabular import Table, read_csv, table_text
from harness.spec.vocabulary import NAME
from harness.spec.yaml_text import Unreadable, parse

if TYPE_CHECKING:  # only who asks for a frame pays half a second for pandas
    import pandas as pd

    from harness.report.tidy import Frames

ROW_TYPES = {
    "run": str,
    "level": str,
    "seed": int,
    "arm": str,
    "quantity": str,
    "kimg": float,
    "iteration": int,
    "sec": float,
    "value": float,
}
OUTCOME_TYPES = {"run": str, "level": str, "seed": int, "status": str, "reason": str}
REAL = "real"
"""Arm of the real images themselves."""
RUN = "run"
"""Arm of what is measured of a run as a whole."""


class Cell(NamedTuple):
    """What has one value for each seed at each evaluation."""

    level: str
    arm: str
    quantity: str


Curve = list[tuple[float, float]]
"""(kimg, value) in the order of training."""


@dataclass(frozen=True)
class Results:
    """The evidence on one question at one tier.

    Args:
        plan: the resolved question.
        rows: one measured number a row, columns ``ROW_TYPES``; in the plan's order of runs, then by
            arm, quantity and iteration.
        outcomes: one planned run a row, columns ``OUTCOME_TYPES``.
        machine: what the runs ran on; ``also`` lists machines or sources that differ from it,
            ``resumed`` where runs went on after a stop.
    """

    plan: Plan
    rows: Table
    outcomes: Table
    machine: Mapping[str, Any]
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    """How each metric was measured, by its name; those that were not recorded are left out."""
    predicted: Sequence[predictions.Prediction] = ()
    """What runs were predicted to take when they began, where that was recorded."""
    derived: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What was computed from all of this, by its name: report and figures ask several times."""

    def frame(self) -> pd.DataFrame:
        """Return the rows as a pandas frame, a column each of ``ROW_TYPES``."""
        import pandas

        return pandas.DataFrame(self.rows)

    @cached_property
    def finished(self) -> dict[str, list[int]]:
        """Seeds of the finished runs of each level, in the plan's order."""
        table = zip(*(self.outcomes[name] for name in ("level", "seed", "status")), strict=True)
        done = {(level, seed) for level, seed, status in table if status == Status.FINISHED}
        found: dict[str, list[int]] = {level: [] for level in self.plan.levels}
        for run in self.plan.runs:
            if (run.level, run.seed) in done:
                found[run.level].append(run.seed)
        return found

    @cached_property
    def curves(self) -> dict[Cell, dict[int, Curve]]:
        """Every quantity over training by seed, of finished runs only.

        An evaluation that a resumed run repeated counts once, as it was measured last.
        """
        done = {(level, seed) for level, seeds in self.finished.items() for seed in seeds}
        names = ("level", "seed", "arm", "quantity")
        cells: dict[Cell, dict[int, Curve]] = {}
        begin = 0
        table = zip(*(self.rows[name] for name in names), strict=True)
        for (level, seed, arm, quantity), group in groupby(table):
            end = begin + len([*group])
            if (level, seed) in done:
                cells.setdefault(Cell(level, arm, quantity), {})[seed] = self._curve(begin, end)
            begin = end
        return {
            cell: {seed: curves[seed] for seed in self.finished[cell.level] if seed in curves}
            for cell, curves in cells.items()
        }

    def _curve(self, begin: int, end: int) -> Curve:
        """Return the points of rows that are one curve, in the order of iterations."""
        iterations, *point = (self.rows[name][begin:end] for name in ("iteration", "kimg", "value"))
        points = [*zip(*point, strict=True)]
        if len({*iterations}) == len(points):
            return points
        return [*dict(zip(iterations, points, strict=True)).values()]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Measured metrics with their protocols, in the spec's order; of one, the usual first."""
        wanted = self.plan.spec.evaluate.metrics
        counts = Counter(self.rows["quantity"])
        measured = sorted(counts, key=lambda q: (plain(q), -counts[q], q))
        return tuple(q for name in wanted for q in measured if q.partition("[")[0] == name)

    def run(self, level: str) -> Run:
        """Return the first run of a level, for the settings that its seeds share."""
        return self.plan.first_run(level)

    def arms(self, level: str) -> tuple[Arm, ...]:
        """Return the arms of a level; a factor may change what an average spans."""
        return arms(self.run(level).spec)

    def last(self, cell: Cell) -> dict[int, float]:
        """Return the last value of each seed."""
        return {seed: curve[-1][1] for seed, curve in self.curves.get(cell, {}).items()}


def collect(plan: Plan, runs_dir: Path) -> Results:
    """Read the records of a plan's runs.

    Args:
        plan: the resolved question.
        runs_dir: holds a folder for each run, by the run's name.

    Raises:
        RecordsError: if no run has left records, or some are of a newer format.
    """
    runs = [(run, RunFolder(runs_dir / run.name)) for run in plan.runs]
    folders = [folder if folder.path.is_dir() else None for _, folder in runs]
    if not any(folders):
        raise RecordsError(
            f"{runs_dir}: holds no run of this spec: "
            f"run `harness run experiments/{plan.experiment}.yaml --tier {plan.tier}` first"
        )
    rows: dict[str, list[Any]] = {name: [] for name in ROW_TYPES}
    measured, held = protocols.collect([(folder.path, folder.columns()) for _, folder in runs])
    for (run, _), columns in zip(runs, measured, strict=True):
        who = {"run": run.name, "level": run.level, "seed": run.seed}
        for name, value in who.items():
            rows[name] += [value] * len(columns.value)
        for name, column in columns._asdict().items():
            rows[name] += column
    outcomes = _table(OUTCOME_TYPES, map(_ending, plan.runs, folders))
    foreseen = predictions.read(runs_dir / predictions.FILE)
    machine = machine_of(filter(None, folders))
    return Results(plan, _sorted(plan, rows), outcomes, machine, held, foreseen)


def read(results_dir: Path) -> Results:
    """Read what ``write`` wrote.

    Raises:
        RecordsError: if a file is missing, torn, foreign, or of a newer format.
    """
    machine = read_machine(results_dir / "machine.json")
    held = protocols.read(results_dir / protocols.FILE)
    plan = _plan(results_dir / "spec.yaml")
    rows = read_csv(results_dir / "runs.csv", ROW_TYPES)
    outcomes = read_csv(results_dir / "outcomes.csv", OUTCOME_TYPES)
    known = {(run.level, run.seed) for run in plan.runs}
    if not all_fine(rows, known):  # then one by one, to say where
        check_each(results_dir / "runs.csv", rows, known)
    check_each(results_dir / "outcomes.csv", outcomes, known)
    foreseen = predictions.read(results_dir / predictions.FILE)
    return Results(plan, _sorted(plan, rows), outcomes, machine, held, foreseen)


def evidence(folder: Path) -> Results:
    """Read a results folder, or the folder of a question's runs.

    Raises:
        RecordsError: if it is neither, or what it holds cannot be read.
    """
    written = any(os.path.lexists(folder / name) for name in ("machine.json", "runs.csv"))
    if written or not (folder / "spec.yaml").is_file():
        return read(folder)
    return collect(_plan(folder / "spec.yaml"), folder)


def load(folders: str | Path | Iterable[str | Path]) -> Frames:
    """Return results as tidy pandas frames: rows, curves, summary, arms, runs and timing.

    Args:
        folders: a results folder, a folder of runs, or several, whose rows then stand below one
            another and are told apart by ``folder``.

    Raises:
        RecordsError: if there is none, or one cannot be read.
    """
    from harness.report.tidy import tidied

    given = [folders] if isinstance(folders, str | Path) else [*folders]
    if not given:
        raise RecordsError("no results folder was given: name one, as results/pggan-ema/quick")
    return tidied({Path(folder).as_posix(): evidence(Path(folder)) for folder in given})


def rows_text(results: Results) -> str:
    """Return the rows as ``runs.csv`` holds them, one a line."""
    name = "rows_text"
    if name not in results.derived:
        results.derived[name] = table_text(results.rows)
    text: str = results.derived[name]
    return text


def _table(names: Iterable[str], records: Iterable[Sequence[Any]]) -> Table:
    columns = [[*column] for column in zip(*records, strict=True)]
    return dict(zip(names, columns or [[] for _ in names], strict=True))


def _sorted(plan: Plan, rows: Table) -> Table:
    """Order rows by run, arm, quantity and iteration; those that a resume repeated keep theirs."""
    runs = {(run.level, run.seed): number for number, run in enumerate(plan.runs)}
    first = (REAL, *(arm.name for arm in plan.arms))
    arms = dict.fromkeys([*first, *sorted(set(rows["arm"]))])
    keys = (
        rows["iteration"],
        _places(sorted(set(rows["quantity"])), rows["quantity"]),
        _places(arms, rows["arm"]),
        [runs[at] for at in zip(rows["level"], rows["seed"], strict=True)],
    )
    order = np.lexsort(keys).tolist()  # stable, the last key first
    return {name: [*map(column.__getitem__, order)] for name, column in rows.items()}


def _places(names: Iterable[str], column: Iterable[str]) -> list[int]:
    places = {name: number for number, name in enumerate(names)}
    return [places[name] for name in column]


def _ending(run: Run, folder: RunFolder | None) -> list[Any]:
    if folder is None:
        status, reason = MISSING, "has not been run"
    else:
        unended = Outcome(Status.INTERRUPTED, "no outcome was written: killed, or still running")
        outcome = folder.outcome() or unended
        status, reason = outcome.status.value, outcome.reason
    return [run.name, run.level, run.seed, status, " ".join(reason.split())]


def _plan(path: Path) -> Plan:
    try:
        settings = parse(read_record(path))[0]
    except Unreadable as error:
        (line, text), *_ = error.problems
        raise RecordsError(f"{path}:{line}: {text}: was it cut off?") from None
    names = settings if isinstance(settings, dict) else {}
    experiment, tier = names.get("experiment"), names.get("tier")
    if not (isinstance(experiment, str) and isinstance(tier, str) and _is_name(experiment, tier)):
        raise RecordsError(f"{path}: names no experiment and tier: not a results folder's spec")
    return from_settings(settings, str(path))


def _is_name(experiment: str, tier: str) -> bool:
    return experiment.isprintable() and "/" not in experiment and bool(NAME.fullmatch(tier))
