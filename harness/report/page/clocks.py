"""Where the time of a run went, as bars, and the few numbers at the head of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.plan.expand import ONLY_LEVEL
from harness.records.quantities import lookup
from harness.records.types import Status
from harness.report.frames import RUN, Cell, Results
from harness.report.tables import CLOCKS, TimingLine, timing
from harness.report.text import outside
from harness.report.wording import number

BAR = 1000
"""Length of the longest bar."""


class Part(NamedTuple):
    """One clock's piece of a bar, and what it says."""

    clock: str
    start: float
    length: float
    text: str


class Bar(NamedTuple):
    """A level's median run."""

    level: str
    total: str
    parts: Sequence[Part]


class Fact(NamedTuple):
    """One of the few numbers that say how large the evidence is."""

    name: str
    text: str
    more: str


def bars(results: Results) -> list[Bar]:
    """Return a bar for each level whose clocks were read, the longest ``BAR`` long."""
    lines = [line for line in timing(results) if line.costs.get("run_sec")]
    longest = max((line.costs["run_sec"].median for line in lines), default=0.0)
    return [_bar(line, BAR / longest) for line in lines] if longest > 0 else []


def _bar(line: TimingLine, scale: float) -> Bar:
    parts, start = [], 0.0
    for clock in CLOCKS:
        if (found := line.costs.get(f"{clock}_sec")) is not None:
            length = found.median * scale
            parts.append(Part(clock, start, length, _said(line, clock)))
            start += length
    level = "" if line.level == ONLY_LEVEL else line.level
    return Bar(level, duration(line.costs["run_sec"].median), parts)


def _said(line: TimingLine, clock: str) -> str:
    text = f"{lookup(f'time/{clock}_sec').title} {duration(line.costs[f'{clock}_sec'].median)}"
    share = line.costs.get(f"{clock}_share")
    if share is None:
        return text
    return f"{text}, {share.median:.1%}" + (" (the eval tax)" if clock == "eval" else "")


def duration(sec: float) -> str:
    """Return seconds, minutes or hours with three digits."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if sec >= 2 * size:
            return f"{number(sec / size)} {unit}"
    return f"{number(sec)} s"


def facts(results: Results) -> list[Fact]:
    """Return how many runs there are, of what, how long they were, and where they ran."""
    spec, machine = results.plan.spec, results.machine
    statuses = results.outcomes["status"]
    done = sum(status == Status.FINISHED for status in statuses)
    levels = len(results.plan.levels)
    seeds = ", ".join(map(str, spec.seeds)) if len(spec.seeds) <= 8 else ""
    cpu = machine.get("device", "cpu") == "cpu"
    place = str(machine.get("cpu" if cpu else "device") or "not recorded")
    total = _total_sec(results)
    return [
        Fact(
            "Runs finished", f"{done} of {len(statuses)}", f"{levels} levels" if levels > 1 else ""
        ),
        Fact("Seeds", str(len(spec.seeds)), seeds),
        Fact("Training", f"{spec.kimg:g} kimg", f"{spec.model.type}, {spec.model.out_scale} px"),
        Fact("Time", duration(total) if total else "not measured", "all finished runs together"),
        Fact("Machine", "CPU" if cpu else "GPU", outside(place)),
    ]


def _total_sec(results: Results) -> float:
    cells = [Cell(k, RUN, f"time/{c}_sec") for k in results.plan.levels for c in CLOCKS]
    return sum(sec for cell in cells for sec in results.last(cell).values())
