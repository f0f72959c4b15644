"""What runs of the same question took before, from the newest report of them."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.files.plain import NoText, read_text
from harness.plan.estimate import LEAST_SHARE, NOTHING, Estimate
from harness.plan.expand import Plan
from harness.plan.figures import RunCost
from harness.records.files import read_json
from harness.records.hardware import hardware
from harness.spec.identity import texts
from harness.spec.yaml_text import Unreadable, parse

_LARGEST_BYTES = 2**20
_ELSEWHERE = 3.0
"""On another kind of machine seconds may be so many times as many, or as few."""
_NO_COST = frozenset({"question", "seeds", "experiment", "tier", "overrides"})
"""Parts of a question that decide nothing about one run of it."""


def earlier_costs(
    plan: Plan, results: Path, device: str, jobs: int, start_sec: Estimate
) -> dict[str, RunCost]:
    """Return what a run of each level took in a report of the same question; empty without one.

    The interval is from the quickest run to the slowest, and wider where the report is of another
    kind of machine or of another number of runs side by side.

    Args:
        results: the question's results folder.
        device: ``cpu`` or ``cuda``.
        jobs: runs side by side on it.
        start_sec: of a run, which no report holds.
    """
    table, machine = _table(results), _machine(results)
    known = all(level in table for level in plan.levels)
    if not known or not _runs_on(machine, device) or not _same_question(plan, results):
        return {}
    here = _is_like(machine, hardware(device))
    shares = [_shared(n, device) for n in (_count(machine.get("jobs"), jobs), jobs)]
    return {
        level: RunCost(
            start_sec,
            _moved(table[level]["run_sec"], shares[1] / shares[0], here),
            table[level]["peak_rss_gib"],
            table[level]["peak_gpu_gib"],
            f"the runs reported in {results}{'' if here else ', on another kind of machine'}",
        )
        for level in plan.levels
    }


def _moved(run_sec: Estimate, ratio: float, here: bool) -> Estimate:
    """Return a run's seconds where ``ratio`` times as many share what computes.

    Runs side by side on a GPU slow each other down by anything from not at all to all of it.
    """
    low, high = min(ratio, 1.0), max(ratio, 1.0)
    factor = 1.0 if here else _ELSEWHERE
    known = run_sec.at_least(LEAST_SHARE)
    return Estimate(known.value * ratio, known.low * low / factor, known.high * high * factor)


def _shared(jobs: int, device: str) -> float:
    """Return how many runs share a core, or the GPU."""
    return max(1.0, jobs / (os.cpu_count() or 1)) if device == "cpu" else float(jobs)


def _count(value: object, otherwise: int) -> int:
    return value if type(value) is int and 1 <= value < 10**6 else otherwise


def _runs_on(machine: Mapping[str, Any], device: str) -> bool:
    return str(machine.get("device", "")).partition(":")[0] == device


def _is_like(machine: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    fields = ("device",) if here["device"] != "cpu" else ("cpu", "cores")
    return all(machine.get(name) == here[name] for name in fields)


def _same_question(plan: Plan, results: Path) -> bool:
    try:
        asked = parse(read_text(results / "spec.yaml", _LARGEST_BYTES))[0]
    except (NoText, Unreadable):
        return False
    if not isinstance(asked, dict):
        return False
    ours, theirs = texts(plan.settings()), texts(asked)
    return all(ours.get(name) == theirs.get(name) for name in {*ours, *theirs} - _NO_COST)


def _machine(results: Path) -> dict[str, Any]:
    try:
        return read_json(results / "machine.json")
    except RecordsError:
        return {}


def _table(results: Path) -> dict[str, dict[str, Estimate]]:
    """Return the costs of each level; empty where they cannot be read."""
    try:
        text = read_text(results / "timing.csv", _LARGEST_BYTES)
        lines = list(csv.DictReader(io.StringIO(text)))
        return {line["level"]: {name: _cell(line, name) for name in _COSTS} for line in lines}
    except (NoText, KeyError, TypeError, ValueError, csv.Error):
        return {}


_COSTS = ("run_sec", "peak_rss_gib", "peak_gpu_gib")


def _cell(line: Mapping[str, str], name: str) -> Estimate:
    """Return the median over a level's runs, from the least of them to the largest."""
    if name != "run_sec" and not line.get(name):
        return NOTHING  # not measured
    value, low, high = (float(line[f"{name}{end}"]) for end in ("", "_min", "_max"))
    if not 0 < low <= value <= high < 1e12:
        raise ValueError
    return Estimate(value, low, high)
