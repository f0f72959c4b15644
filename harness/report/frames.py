"""All runs of a question as one tidy table, from the runs' folders or from committed results."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import RecordsError
from harness.plan.arms import Arm, arms
from harness.plan.expand import Plan, Run, from_settings
from harness.records.files import read_record
from harness.records.machine import kind
from harness.records.machine_file import read_machine
from harness.records.quantities import lookup
from harness.records.rows import checked
from harness.records.store import RunFolder
from harness.records.types import Outcome, Row, Status
from harness.report.tabular import csv_text, read_csv
from harness.spec.vocabulary import NAME
from harness.spec.yaml_text import Unreadable, parse

if TYPE_CHECKING:  # pandas costs half a second that `harness --help` should not pay
    import pandas as pd

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
MISSING = "missing"
"""Status of a run that the plan names and that left no records."""
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
        rows: one measured number a row, columns ``ROW_TYPES``.
        outcomes: one planned run a row, columns ``OUTCOME_TYPES``.
        machine: what the runs ran on; ``also`` lists machines or sources that differ from it,
            ``resumed`` where runs went on after a stop.
    """

    plan: Plan
    rows: pd.DataFrame
    outcomes: pd.DataFrame
    machine: Mapping[str, Any]

    @cached_property
    def finished(self) -> dict[str, list[int]]:
        """Seeds of the finished runs of each level, in the plan's order."""
        table = zip(*(self.outcomes[name] for name in ("level", "seed", "status")), strict=True)
        done = {(level, seed) for level, seed, status in table if status == Status.FINISHED}
        return {
            level: [r.seed for r in self.plan.runs if r.level == level and (level, r.seed) in done]
            for level in self.plan.levels
        }

    @cached_property
    def curves(self) -> dict[Cell, dict[int, Curve]]:
        """Every quantity over training by seed, of finished runs only.

        An evaluation that a resumed run repeated counts once, as it was measured last.
        """
        found: dict[Cell, dict[int, dict[int, tuple[float, float]]]] = {}
        names = ("level", "seed", "arm", "quantity", "iteration", "kimg", "value")
        table = zip(*(self.rows[name].tolist() for name in names), strict=True)
        for level, seed, arm, quantity, iteration, kimg, value in table:
            if seed in self.finished[level]:
                seeds = found.setdefault(Cell(level, arm, quantity), {})
                seeds.setdefault(seed, {})[iteration] = (kimg, value)
        return {
            cell: {
                seed: [seeds[seed][at] for at in sorted(seeds[seed])]
                for seed in self.finished[cell.level]
                if seed in seeds
            }
            for cell, seeds in found.items()
        }

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Measured metrics with their protocols, in the spec's order."""
        wanted = self.plan.spec.evaluate.metrics
        measured = sorted(set(self.rows["quantity"]))
        return tuple(q for name in wanted for q in measured if q.partition("[")[0] == name)

    def run(self, level: str) -> Run:
        """Return the first run of a level, for the settings that its seeds share."""
        return next(run for run in self.plan.runs if run.level == level)

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
    present = [folder for _, folder in runs if folder.path.is_dir()]
    if not present:
        raise RecordsError(
            f"{runs_dir}: holds no run of this spec: "
            f"run `harness run experiments/{plan.experiment}.yaml --tier {plan.tier}` first"
        )
    rows = [record for run, folder in runs for record in _records(run, folder.rows())]
    outcomes = [_ending(run, folder) for run, folder in runs]
    return _results(plan, rows, outcomes, _machine(present))


def read(results_dir: Path) -> Results:
    """Read what ``write`` wrote.

    Raises:
        RecordsError: if a file is missing, torn, foreign, or of a newer format.
    """
    machine = read_machine(results_dir / "machine.json")
    plan = _plan(results_dir / "spec.yaml")
    rows = read_csv(results_dir / "runs.csv", ROW_TYPES)
    outcomes = read_csv(results_dir / "outcomes.csv", OUTCOME_TYPES)
    known = {(run.level, run.seed) for run in plan.runs}
    for name, records in (("runs.csv", rows), ("outcomes.csv", outcomes)):
        for number, record in enumerate(records, 2):
            try:
                _check(record, known)
            except RecordsError as error:
                raise RecordsError(f"{results_dir / name}:{number}: {error}") from None
    return _results(plan, rows, outcomes, machine)


def _check(record: Sequence[Any], known: Container[tuple[str, int]]) -> None:
    run, level, seed, *rest = record
    if (level, seed) not in known or not run.isprintable():
        raise RecordsError(f"level {level!r:.60}, seed {seed} is not in spec.yaml")
    if len(record) == len(ROW_TYPES):
        arm, quantity, kimg, iteration, sec, value = rest
        checked(Row(quantity, arm, value, kimg, iteration, sec))
    elif rest[0] not in [*Status, MISSING] or not rest[1].isprintable():
        raise RecordsError(f"status {rest[0]!r:.60} is not one of {', '.join([*Status, MISSING])}")


def frame_text(frame: pd.DataFrame) -> str:
    """Return a frame as CSV that ``read`` takes back bit for bit."""
    columns = [frame[name].tolist() for name in frame.columns]
    return csv_text(list(frame.columns), zip(*columns, strict=True))


def _results(
    plan: Plan,
    rows: Sequence[Sequence[Any]],
    outcomes: Sequence[Sequence[Any]],
    machine: Mapping[str, Any],
) -> Results:
    import pandas as pd

    for quantity in sorted({record[4] for record in rows}):
        lookup(quantity)
    frame = pd.DataFrame(_sorted(plan, rows), columns=list(ROW_TYPES))
    return Results(plan, frame, pd.DataFrame(outcomes, columns=list(OUTCOME_TYPES)), machine)


def _sorted(plan: Plan, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    # Rows that a resume repeated keep their order: sorting is stable.
    runs = {(run.level, run.seed): number for number, run in enumerate(plan.runs)}
    order = {name: number for number, name in enumerate((REAL, *(a.name for a in plan.arms)))}

    def key(record: Sequence[Any]) -> tuple[Any, ...]:
        _, level, seed, arm, quantity, _, iteration, *_ = record
        return runs[level, seed], order.get(arm, len(order)), arm, quantity, iteration

    return sorted(rows, key=key)


def _records(run: Run, rows: Iterable[Row]) -> list[list[Any]]:
    who = (run.name, run.level, run.seed)
    return [
        [*who, r.arm, r.quantity, float(r.kimg), int(r.iteration), float(r.sec), float(r.value)]
        for r in rows
    ]


def _ending(run: Run, folder: RunFolder) -> list[Any]:
    if not folder.path.is_dir():
        status, reason = MISSING, "has not been run"
    else:
        unended = Outcome(Status.INTERRUPTED, "no outcome was written: killed, or still running")
        outcome = folder.outcome() or unended
        status, reason = outcome.status.value, outcome.reason
    return [run.name, run.level, run.seed, status, " ".join(reason.split())]


def _machine(folders: Iterable[RunFolder]) -> dict[str, Any]:
    """Return the first run's machine, with the other machines and sources under ``also``.

    Each place where a run went on stands under ``resumed``, with the run's name.
    """
    groups: dict[tuple[str, Any], dict[str, Any]] = {}
    resumed: list[dict[str, Any]] = []
    for folder in folders:
        if os.path.lexists(folder.path / "machine.json"):
            machine = read_machine(folder.path / "machine.json")
            resumed += [{"run": folder.path.name, **at} for at in machine.pop("resumed", [])]
            source = (machine.get("source") or {}).get("digest")
            groups.setdefault((kind(machine), source), machine)
    first, *others = groups.values() or [{}]
    more: dict[str, Any] = {"also": others, "resumed": resumed}
    return first | {name: entries for name, entries in more.items() if entries}


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
