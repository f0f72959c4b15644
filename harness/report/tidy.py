"""Results as tidy pandas frames: an observation a row, categories in the plan's order, units."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.plan.arms import Arm
from harness.records.machine import kind
from harness.records.quantities import lookup
from harness.records.types import Status
from harness.report.columns import COLUMNS
from harness.report.committed_rows import MISSING
from harness.report.frames import REAL, RUN, Results
from harness.report.tables import CLOCKS, summary_text, timing_text
from harness.report.tabular import Table
from harness.spec.schema import Spec, rebuilt_arms
from harness.spec.vocabulary import RAW

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Frames:
    """Results as pandas frames.

    ``columns.COLUMNS`` says what each column is; a frame has that of its own in
    ``attrs["units"]`` and ``attrs["meanings"]``.

    Args:
        rows: every measured number, of runs that did not finish, too.
        curves: the metrics of finished runs over training, one value an evaluation; the real
            images' own stand at 0 kimg.
        summary: ``summary.csv``: each level, arm and metric over the seeds.
        arms: what each level's arms average.
        runs: each planned run: how it ended, what it cost, on which machine.
        timing: ``timing.csv``: what a level's runs cost, over the seeds.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    summary: pd.DataFrame
    arms: pd.DataFrame
    runs: pd.DataFrame
    timing: pd.DataFrame


def tidied(found: Mapping[str, Results]) -> Frames:
    """Return the frames of one folder's results, or of several, one below another.

    Args:
        found: results by what the column ``folder`` shall call them.
    """
    orders = _orders(found.values())

    def joined(columns_of: Callable[[Results], Table]) -> pd.DataFrame:
        tables = [(_origin(name, of), columns_of(of)) for name, of in found.items()]
        names = ["folder", "experiment", "tier", *(name for _, table in tables for name in table)]
        whole: dict[str, list[Any]] = {name: [] for name in names}
        for origin, table in tables:
            count = len(next(iter(table.values())))
            for name, column in whole.items():
                column += table.get(name, [origin.get(name)] * count)
        return _frame(whole, orders)

    return Frames(*map(joined, (_rows, _curves, _summary, _arms, _runs, _timing)))


def _origin(folder: str, results: Results) -> dict[str, str]:
    return {"folder": folder, "experiment": results.plan.experiment, "tier": results.plan.tier}


def _frame(
    columns: Mapping[str, Sequence[Any]], orders: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    import pandas as pd

    types = {"int": "Int64", "float": "float64", "bool": "boolean"}
    made: dict[str, Any] = {}
    for name, values in columns.items():
        column = COLUMNS.get(name)
        if column is None or column.kind == "category":
            present = {*values} - {None}
            order = dict.fromkeys(v for v in (*orders.get(name, ()), *values) if v in present)
            made[name] = pd.Categorical(values, categories=pd.Index([*order], dtype="str"))
        elif column.kind == "int" and None not in values:
            made[name] = pd.Series(values, dtype="int64")
        else:
            made[name] = pd.Series(values, dtype=types[column.kind])
    frame = pd.DataFrame(made)
    said = {name: COLUMNS[name] for name in columns if name in COLUMNS}
    frame.attrs["units"] = {name: column.unit for name, column in said.items() if column.unit}
    frame.attrs["meanings"] = {name: column.meaning for name, column in said.items()}
    return frame


def _orders(found: Iterable[Results]) -> dict[str, Sequence[str]]:
    """Return the order of the columns whose values the plans order."""
    levels: list[str] = []
    arms = [REAL]
    quantities: list[str] = []
    for results in found:
        levels += results.plan.levels
        arms += [arm.name for arm in results.plan.arms] + [*rebuilt_arms(results.plan.spec)]
        quantities += [*results.metrics, *sorted({*results.rows["quantity"]})]
    return {
        "level": levels,
        "arm": arms,
        "quantity": quantities,
        "better": ("lower", "higher", "neither"),
        "status": (*Status, MISSING),
    }


def _rows(results: Results) -> Table:
    return _measured(results, range(len(results.rows["value"])))


def _curves(results: Results) -> Table:
    """Return the metrics of finished runs; of an evaluation that a resume repeated, the last."""
    done = {(level, seed) for level, seeds in results.finished.items() for seed in seeds}
    names = ("level", "seed", "quantity", "arm", "iteration")
    keys = zip(*(results.rows[name] for name in names), strict=True)
    wanted = {*results.metrics}
    latest = {key: at for at, key in enumerate(keys) if key[:2] in done and key[2] in wanted}
    return _measured(results, latest.values())


def _measured(results: Results, places: Iterable[int]) -> Table:
    chosen = [*places]
    rows = {name: [column[at] for at in chosen] for name, column in results.rows.items()}
    return {
        **{name: rows[name] for name in ("level", "seed", "run", "arm")},
        **_facts(rows["quantity"]),
        **{name: rows[name] for name in ("kimg", "iteration")},
        "hours": [sec / 3600 for sec in rows["sec"]],
        "value": rows["value"],
    }


def _facts(quantities: Sequence[str]) -> Table:
    """Return what the names of quantities say."""
    known = {}
    for name in {*quantities}:
        metric, _, rest = name.partition("[")
        quantity = lookup(name)
        known[name] = (name, metric, rest.removesuffix("]"), quantity.unit, quantity.better)
    facts = ("quantity", "metric", "protocol", "unit", "better")
    return {fact: [known[name][at] for name in quantities] for at, fact in enumerate(facts)}


def _summary(results: Results) -> Table:
    columns = dict(_parsed(summary_text(results)))
    place = {name: columns.pop(name) for name in ("level", "arm")}
    return {**place, **_facts(columns.pop("metric")), **columns}


def _timing(results: Results) -> Table:
    return _parsed(timing_text(results))


def _parsed(text: str) -> Table:
    header, *lines = csv.reader(io.StringIO(text))
    columns = zip(*lines, strict=True) if lines else ((),) * len(header)
    return {
        name: [_value(name, field) for field in column]
        for name, column in zip(header, columns, strict=True)
    }


def _value(name: str, field: str) -> Any:
    reads: dict[str, Callable[[str], Any]] = {"int": int, "float": float}
    column = COLUMNS.get(name)
    return None if field == "" else reads.get(column.kind if column else "", str)(field)


def _arms(results: Results) -> Table:
    records = [
        (level, *record)
        for level in results.plan.levels
        for record in _arms_of(results.run(level).spec, results.arms(level))
    ]
    names = ("level", "arm", "mode", "momentum", "decay", "half_life_kimg", "span")
    return _columns((*names, "sigma_rel", "interval", "start_iter"), records)


def _arms_of(spec: Spec, arms: Iterable[Arm]) -> list[tuple[Any, ...]]:
    ema = spec.observers.ema
    live: list[tuple[Any, ...]] = [
        (
            *(arm.name, arm.interp_mode, arm.momentum, arm.decay, arm.half_life_kimg, arm.span),
            *(ema[arm.name].interp_cfg.sigma_rel, arm.interval, arm.start_iter),
        )
        for arm in arms
        if arm.name != RAW
    ]
    rebuilt = rebuilt_arms(spec).items()
    after = [
        (name, "posthoc", None, None, None, None, width, None, None) for name, width in rebuilt
    ]
    return [(RAW, *[None] * 8), *live, *after]


def _runs(results: Results) -> Table:
    outcomes = [*zip(*results.outcomes.values(), strict=True)]
    spent, machines = _spent(results), _machines(results)
    costs = (*(f"{clock}_sec" for clock in CLOCKS), "peak_rss_gib", "peak_gpu_gib")
    records = []
    for run, level, seed, status, reason in outcomes:
        own = spent.get(run, {})
        clocks = [own.get(f"{clock}_sec") for clock in CLOCKS]
        total = None if None in clocks else sum(filter(None, clocks))
        reached = [own.get(name) for name in ("kimg", "iteration")]
        cost = [own.get(name) for name in costs]
        here = machines.get(run, [None] * len(_MACHINE)) if status != MISSING else None
        records.append(
            [level, seed, run, status, reason, *reached, total, *cost]
            + (here or [None] * len(_MACHINE))
        )
    names = ("level", "seed", "run", "status", "reason", "kimg", "iteration", "run_sec", *costs)
    return _columns((*names, *_MACHINE), records)


def _spent(results: Results) -> dict[str, dict[str, float]]:
    """Return how far each run came, its clocks' last reading and its most memory."""
    found: dict[str, dict[str, float]] = {}
    names = ("run", "arm", "quantity", "kimg", "iteration", "value")
    for run, arm, quantity, kimg, iteration, value in zip(
        *(results.rows[name] for name in names), strict=True
    ):
        own = found.setdefault(run, {"kimg": 0.0, "iteration": 0})
        own["kimg"] = max(own["kimg"], kimg)
        own["iteration"] = max(own["iteration"], iteration)
        group, _, name = quantity.partition("/")
        if arm == RUN and group == "time":
            own[name] = value  # rows stand in the order of training
        elif arm == RUN and group == "memory":
            own[name] = max(own.get(name, value), value)
    return found


_MACHINE = ("machine", "cpu", "device", "python", "torch", "source", "commit", "clean")


def _machines(results: Results) -> dict[str, list[Any]]:
    """Return each run's machine; none where results of several do not say whose is whose."""
    machines = [results.machine, *results.machine.get("also", ())]
    every = results.outcomes["run"]
    found: dict[str, list[Any]] = {}
    for machine in machines:
        source, libraries = machine.get("source") or {}, machine.get("libraries") or {}
        said = [kind(machine), *(machine.get(name) for name in ("cpu", "device", "python"))]
        said += [libraries.get("torch"), *(source.get(n) for n in ("digest", "commit", "clean"))]
        found |= dict.fromkeys(every if len(machines) == 1 else machine.get("runs", ()), said)
    return found


def _columns(names: Sequence[str], records: Sequence[Sequence[Any]]) -> Table:
    columns = zip(*records, strict=True) if records else ((),) * len(names)
    return {name: [*column] for name, column in zip(names, columns, strict=True)}
