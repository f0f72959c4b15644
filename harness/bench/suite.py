"""Every benchmark, and what is written of them: results/benchmarks/<machine>/.

A file a question; each has a ``measure(device)`` that checks both sides' results first.
"""

import csv
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.bench.finding import Finding, Goal
from harness.bench.peer.asked import NotHereError
from harness.errors import SpecError
from harness.records.files import write_atomically, write_json
from harness.records.machine import describe, slug

BENCHMARKS = (
    "ema_update",
    "shadows",
    "ema_overhead",
    "harness_overhead",
    "certificate",
    "threads",
    "step_floor",
    "resolutions",
    "scoring",
    "fid_algebra",
    "singan_schedule",
    "command_times",
    "run_start",
    "report_growth",
    "preparation",
    "ranks",
    "pggan_peer",
)
GOALS = "goals.csv"
_COLUMNS = ("benchmark", *(field.name for field in fields(Goal)))


def run(names: Sequence[str], results: Path, device: str) -> int:
    """Measure the named benchmarks (all by default), print and write them.

    What was written of other benchmarks stays; where all are measured, one whose peer is not here
    is left out.

    Raises:
        SpecError: a name is no benchmark's.
        NotHereError: a named benchmark's peer is not here.
    """
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise SpecError([f"{unknown[0]!r} is not a benchmark; known: {', '.join(BENCHMARKS)}"])
    import torch

    device_name = torch.cuda.get_device_name() if device == "cuda" else ""
    machine = describe(device, device_name, torch.get_num_threads())
    folder = results / "benchmarks" / slug(machine)
    write_json(folder / "machine.json", machine)
    for name in names or BENCHMARKS:
        measure: Callable[[str], Finding] = import_module(f"harness.bench.{name}").measure
        threads, begin = torch.get_num_threads(), time.perf_counter()
        try:
            finding = measure(device)
        except NotHereError as error:
            if names:
                raise
            print(f"{name} is left out: {error}", flush=True)
            continue
        torch.set_num_threads(threads)
        print(f"{name} ({time.perf_counter() - begin:.0f} s): {finding.sentence}", flush=True)
        write(name, finding, folder)
    return 0


def write(name: str, finding: Finding, folder: Path) -> None:
    """Write one finding, and bring the folder's goals and report up to date."""
    write_page(name, finding, folder)
    others = [row for row in _goals(folder / GOALS) if row[0] != name]
    own = [[name, *map(str, astuple(goal))] for goal in finding.goals]
    rows = sorted(others + own, key=lambda row: _place(row[0]))
    write_atomically(folder / GOALS, _csv(rows))
    write_atomically(folder / "report.md", report(rows))


def write_page(name: str, finding: Finding, folder: Path) -> None:
    """Write a finding's numbers, pictures and page."""
    write_atomically(folder / f"{name}.csv", finding.csv())
    captions = {}
    for file, (caption, picture) in finding.pictures.items():
        write_atomically(folder / file, picture)
        captions[file] = caption
    write_atomically(folder / f"{name}.md", page(name, finding, captions))


def page(name: str, finding: Finding, captions: Mapping[str, str]) -> str:
    """Return a finding as Markdown, with the captions of its pictures by their files."""
    parts = [f"# {name}", finding.sentence]
    for file, caption in captions.items():
        parts.append(f"![{caption}]({file})\n\n*{caption}.*")
    if finding.details:
        parts.append(finding.details)
    return "\n\n".join(parts) + "\n"


def report(rows: Iterable[Sequence[str]]) -> str:
    """Return the goals of all benchmarks as Markdown, from ``goals.csv``'s rows."""
    lines = [
        "# How fast it is",
        "",
        "| benchmark | measured | value | quartiles | goal | |",
        "| :-- | :-- | --: | --: | :-- | :-- |",
    ]
    for name, *values in rows:
        goal = _read(values)
        unit = f" {goal.unit}" if goal.unit else ""
        lines.append(
            f"| [{name}]({name}.md) | {goal.what} | {goal.value:.3g}{unit} | "
            f"{goal.low:.3g} to {goal.high:.3g} | {goal.direction} {goal.bound:g}{unit} | "
            f"{goal.verdict if goal.met else '**missed**'} |"
        )
    lines += [
        "",
        "Values are medians, both sides of a ratio taken in turns in one process; `machine.json` "
        "says on what. `nox -s bench` measures all of it again, and what a miss is due to stands "
        "in [docs/pages/performance.md](../../../docs/pages/performance.md).",
        "",
    ]
    return "\n".join(lines)


def _read(values: Sequence[str]) -> Goal:
    what, value, low, high, direction, bound, unit = values
    known: Any = direction
    return Goal(what, float(value), float(low), float(high), known, float(bound), unit)


def _goals(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    return list(csv.reader(io.StringIO(path.read_text())))[1:]


def _csv(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *rows])
    return file.getvalue()


def _place(name: str) -> int:
    return BENCHMARKS.index(name) if name in BENCHMARKS else len(BENCHMARKS)
