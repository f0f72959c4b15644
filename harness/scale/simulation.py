"""How well would a cluster be used, and what bounds it? Many simulated clusters, varied one by one.

Reads ``constants.csv`` and ``workloads.csv`` from its folder, so that anyone can simulate any line
of ``simulation.csv`` again, to the byte.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.bench.finding import Finding
from harness.report.tabular import csv_text
from harness.report.wording import short, table
from harness.scale import constants, workloads
from harness.scale.closed_forms import best_interval_sec
from harness.scale.studies import (
    GPUS,
    PARTS,
    TITLES,
    VARIED,
    Line,
    Setting,
    failing,
    grouped,
    settings,
    simulated,
)
from harness.scale.workloads import DIGITS, Kind

_DAY_SEC = 86400.0
COLUMNS = (
    *(field.name for field in fields(Setting)),
    *("runs", "makespan_days", "bound_days", "failures"),
    *PARTS,
)


@dataclass(frozen=True)
class Simulation(Finding):
    """Every simulated cluster."""

    lines: tuple[Line, ...]
    write_sec: float
    """Of a checkpoint of mean size, for the best interval."""

    def of(self, study: str) -> dict[tuple[Any, ...], list[Line]]:
        """Return a study's lines over seeds, by the values of what it varies."""
        found: dict[tuple[Any, ...], list[Line]] = {}
        for line in self.lines:
            if line.setting.study == study:
                key = tuple(getattr(line.setting, name) for name in VARIED[study])
                found.setdefault(key, []).append(line)
        return found

    @property
    def sentence(self) -> str:
        """What many GPUs, and the order of runs, make of a cluster's use."""
        found = self.of("gpus")
        few, many = found[GPUS[0], "longest"], found[GPUS[-1], "longest"]
        unsorted = found[GPUS[-1], "plan"]
        return (
            f"{few[0].runs:,} synthetic runs of the published schedules keep {GPUS[0]} simulated "
            f"GPUs at useful work for {_use(few)} of their time, bounded by "
            f"{few[0].bounded_by}, and {GPUS[-1]:,} for {_use(many)}, bounded by "
            f"{many[0].bounded_by}. They begin with the longest, as those of `harness run` do, and "
            f"{GPUS[-1]:,} GPUs end after {_ratio(many)} times the lower bound; in the plan's "
            f"order after {_ratio(unsorted)}."
        )

    @property
    def details(self) -> str:
        """A table for each study."""
        parts = [f"## {TITLES[study]}\n\n{self._table(study)}" for study in TITLES]
        return "\n\n".join([*parts, self._best()])

    def csv(self) -> str:
        """A line for each simulated cluster."""
        return csv_text(COLUMNS, (line.record for line in self.lines), DIGITS)

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Where the time went over GPUs; use over intervals, dispatchers and storages."""
        from harness.scale import pictures

        return {
            "simulation.png": (
                "Synthetic runs on simulated clusters. Left: where the GPUs' time goes, longest "
                "runs first; right: the makespan over the lower bound, by order",
                pictures.over_gpus(self),
            ),
            "simulation_interval.png": (
                "Useful share of the GPUs' time over the interval between checkpoints, by the "
                "mean time between a node's failures; dotted: the best interval of the closed form",
                pictures.over_intervals(self),
            ),
            "simulation_dispatch.png": (
                "Useful share of the GPUs' time: short runs over the dispatcher's time for one "
                "run; long runs over the storage's bandwidth",
                pictures.over_services(self),
            ),
        }

    def best_interval_min(self, mtbf_days: float, gpus_per_node: int = 8) -> float:
        """Return the best interval for one run, by the closed form, in minutes."""
        return best_interval_sec(self.write_sec, mtbf_days * _DAY_SEC) / 60

    def _table(self, study: str) -> str:
        head = [*VARIED[study], "useful", "makespan / bound", "failures", "bounded by", "its share"]
        rows = []
        for key, lines in self.of(study).items():
            name = max(grouped(lines[0].shares), key=lambda n: _median_share(lines, n))
            rows.append(
                [
                    *(value if isinstance(value, str) else short(value) for value in key),
                    f"{_use(lines)} ({_extremes(lines)})",
                    _ratio(lines),
                    f"{statistics.median(line.failures for line in lines):g}",
                    name,
                    f"{_median_share(lines, name):.1%}",
                ]
            )
        return table(head, rows, words=0)

    def _best(self) -> str:
        found = {days for days, _ in self.of("interval") if days < math.inf}
        each = [f"{self.best_interval_min(d):.0f} min with {failing(d)}" for d in sorted(found)]
        return (
            f"A mean checkpoint takes {self.write_sec:.2g} s to write, so the best interval is, by "
            f"the closed form, {', '.join(each)}."
        )


def measure(folder: Path) -> Simulation:
    """Simulate every setting, with the constants and workloads in ``folder``.

    Raises:
        FileNotFoundError: if they were not written before.
    """
    held, kinds = given(folder)
    return Simulation(
        tuple(simulated(setting, held, kinds) for setting in settings(held)),
        _write_sec(held, kinds),
    )


def read(text: str, folder: Path) -> Simulation:
    """Return what ``Simulation.csv`` wrote, beside the constants and workloads in ``folder``."""
    kinds: Mapping[str, Callable[[str], Any]] = {
        "gpus": int,
        "seed": int,
        **dict.fromkeys(("study", "workload", "order"), str),
    }
    names = [field.name for field in fields(Setting)]
    lines = []
    for row in csv.DictReader(io.StringIO(text)):
        setting = Setting(**{name: kinds.get(name, float)(row[name]) for name in names})
        shares = {name: float(row[name]) for name in PARTS}
        runs, failures = int(row["runs"]), int(row["failures"])
        days = float(row["makespan_days"]), float(row["bound_days"])
        lines.append(Line(setting, runs, *days, failures, shares))
    return Simulation(tuple(lines), _write_sec(*given(folder)))


def given(folder: Path) -> tuple[Mapping[str, float], Sequence[Kind]]:
    """Return the constants by name, and the kinds of runs, that stand in a folder."""
    held = constants.read((folder / "constants.csv").read_text()).values
    return held, workloads.read((folder / "workloads.csv").read_text()).kinds


def _write_sec(held: Mapping[str, float], kinds: Sequence[Kind]) -> float:
    own = [kind for kind in kinds if kind.workload == "paper"]
    size = sum(kind.runs * kind.checkpoint_gib for kind in own) / sum(kind.runs for kind in own)
    return size * held["write_sec_per_gib"]


def _median_share(lines: Sequence[Line], name: str) -> float:
    return statistics.median(grouped(line.shares)[name] for line in lines)


def _use(lines: Sequence[Line]) -> str:
    return f"{statistics.median(line.shares['useful'] for line in lines):.1%}"


def _extremes(lines: Sequence[Line]) -> str:
    shares = [line.shares["useful"] for line in lines]
    return f"{min(shares):.1%} to {max(shares):.1%}"


def _ratio(lines: Sequence[Line]) -> str:
    return f"{statistics.median(line.makespan_days / line.bound_days for line in lines):.3f}"
