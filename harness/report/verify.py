"""Checks that anyone can make: tables against their evidence, new runs against committed ones."""

from __future__ import annotations

import math
import statistics
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.ema.certificate import LIMIT
from harness.plan.expand import ONLY_LEVEL
from harness.records.files import read_record
from harness.records.machine import kind
from harness.records.protocols import Protocol, difference, plain
from harness.report import film
from harness.report.beside import differing
from harness.report.frames import Cell, Results, read
from harness.report.lock import TABLES, check_lock
from harness.report.markdown import PICTURES
from harness.report.page.folder import check_page
from harness.report.quoted import differences
from harness.report.statistics import t_quantile
from harness.report.tables import EMA_ERROR
from harness.report.wording import decimals, number
from harness.report.write import tables_of
from harness.spec.vocabulary import RAW

PREDICTION = 0.99
LEAST_SHARE = 1e-3
_NO_MATTER = frozenset({"question", "seeds", "overrides"})
"""Fields of a plan that runs may be compared across: seeds are looked at by themselves."""
RULE = (
    "the mean of the new seeds lies in the committed seeds' 99 % t prediction interval for it, "
    "taken at least 0.1 % wide on each side"
)
"""For n committed and m new seeds: mean ± t(n - 1) · s · sqrt(1/n + 1/m), s the committed s.d."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether new runs repeat committed ones.

    Args:
        check: ``bits`` on one kind of machine, ``spread`` between kinds, ``question`` where the
            two do not ask the same, ``protocol`` where they did not measure alike.
        holds: whether every value passed.
        checked: how many values were compared.
        failed: how many of them did not pass.
        worst: the largest difference, named, with both values; empty where there is none.
    """

    check: Literal["bits", "spread", "question", "protocol"]
    holds: bool
    checked: int
    failed: int
    worst: str

    @property
    def verdict(self) -> str:
        """The comparison as an answer to a check: ``PASS: ...`` or ``FAIL: ...``."""
        word = "PASS" if self.holds else "FAIL"
        passed = f"{self.checked - self.failed} of {self.checked}"
        worst = f"; worst: {self.worst}" if self.worst else ""
        match self.check:
            case "question" | "protocol":
                return f"{word}: {self.sentence}"
            case "bits":
                return f"{word}: {passed} values equal to the bit{worst}"
            case "spread":
                where = "inside the committed seeds' spread, on another kind of machine"
                return f"{word}: {passed} means {where}{worst}"

    @property
    def sentence(self) -> str:
        """The comparison in one line; in one for each metric that was not measured alike."""
        worst = f"; worst: {self.worst}" if self.worst else ""
        match self.check:
            case "question":
                return f"not compared: {self.worst}"
            case "protocol":
                return f"not compared, as it was not measured alike:\n{self.worst}"
            case "bits":
                rule = "same kind of machine, so every metric has to be equal to the bit"
            case "spread":
                rule = f"another kind of machine, so {RULE}"
        verdict = "holds for all" if self.holds else f"does not hold for {self.failed} of"
        return f"{rule}: {verdict} {self.checked} values{worst}"


def check_tables(folder: Path) -> list[str]:
    """Rebuild every table of a results folder and return the lines that differ.

    Where the folder has a lock, every file, every run's rows and their origin are held to it, too.

    Raises:
        RecordsError: if the evidence itself cannot be read.
    """
    pictures = [name for name in PICTURES if (folder / name).is_file()]
    results = read(folder)
    film.read(folder)
    problems = [f"{folder}: {problem}" for problem in check_certificates(results)]
    for name, rebuilt in tables_of(results, pictures).items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{path}: is missing")
        else:
            problems += differences(path, 1, read_record(path), rebuilt)
    problems += check_page(results, folder)
    told = [name for name in TABLES if any(p.startswith(f"{folder / name}:") for p in problems)]
    return problems + (check_lock(results, folder, but=told) or [])


def check_certificates(results: Results) -> list[str]:
    """Return which EMA shadows of finished runs are not, or not shown to be, what they state."""
    problems = []
    shown: dict[str, list[str]] = {}
    for cell in results.curves:
        if cell.quantity == EMA_ERROR:
            shown.setdefault(cell.level, []).append(cell.arm)
    for level, seeds in results.finished.items():
        stated = [arm.name for arm in results.arms(level) if arm.name != RAW]
        for arm in dict.fromkeys([*stated, *shown.get(level, [])]):
            errors = results.last(Cell(level, arm, EMA_ERROR))
            problems += [
                f"{_named(Cell(level, arm, EMA_ERROR))}, seed {seed}: "
                + (
                    f"{errors[seed]:.1e}, allowed {LIMIT:.0e}"
                    if seed in errors
                    else "was not measured"
                )
                for seed in seeds
                if not errors.get(seed, math.inf) <= LIMIT
            ]
    return problems


def compare(new: Results, old: Results) -> Comparison:
    """Compare new runs with committed ones: bit for bit on one kind of machine, else by spread.

    ``new`` may have fewer seeds than ``old``; nothing else of the question may differ.
    """
    if problem := _other_question(new, old):
        return Comparison("question", False, 0, 0, problem)
    if problems := _other_protocols(new, old):
        return Comparison("protocol", False, 0, len(problems), "\n".join(problems))
    kinds = {*_kinds(new), *_kinds(old)}
    return _compare_bits(new, old) if len(kinds) == 1 else _compare_spread(new, old)


def _other_question(new: Results, old: Results) -> str:
    ours, theirs = new.plan.settings(), old.plan.settings()
    found = [one for one in differing(ours, theirs) if one.name.split(".")[0] not in _NO_MATTER]
    if found:
        first, *more = found
        rest = f", and {len(more)} more fields" if more else ""
        return f"the specs differ in {first.name}: {first.ours}, committed {first.theirs}{rest}"
    unknown = sorted(set(ours["seeds"]) - set(theirs["seeds"]))
    return f"seeds {unknown} are not among the committed {theirs['seeds']}" if unknown else ""


def _other_protocols(new: Results, old: Results) -> list[str]:
    """Say of each metric that the two measured by other protocols which facts differ.

    One that was not recorded is not known to be another.
    """
    ours, theirs = _protocols(new), _protocols(old)
    lines = []
    for name in sorted(ours.keys() & theirs.keys()):
        here, there = ours[name], theirs[name]
        if here.keys() != there.keys():
            mine, other = _unlike(here, there), _unlike(there, here)
            lines.append(f"{name}: {difference(mine, other, 'committed')}")
    return lines


def _unlike(some: Mapping[str, Protocol], others: Mapping[str, Protocol]) -> Protocol:
    """Return the first that is not among the others; the first where all are."""
    return some[min(some, key=lambda mark: mark in others)]


def _protocols(results: Results) -> dict[str, dict[str, Protocol]]:
    """Return every protocol of each quantity by its fingerprint."""
    found: dict[str, dict[str, Protocol]] = {}
    for name, one in results.protocols.items():
        found.setdefault(plain(name), {})[one.fingerprint] = one
    return found


def _kinds(results: Results) -> set[str]:
    kinds = {kind(machine) for machine in (results.machine, *results.machine.get("also", ()))}
    moved = any(not place["same_kind"] for place in results.machine.get("resumed", ()))
    return kinds | {"more than one within a run"} if moved else kinds


_Key = tuple[str, int, str, str, int]


def _values(results: Results) -> dict[_Key, float]:
    names = ("level", "seed", "arm", "quantity", "iteration", "value")
    table = zip(*(results.rows[name] for name in names), strict=True)
    return {
        (level, seed, arm, quantity, iteration): value
        for level, seed, arm, quantity, iteration, value in table
        if not quantity.startswith(("time/", "memory/"))
    }


def _compare_bits(new: Results, old: Results) -> Comparison:
    seeds = set(new.plan.spec.seeds)
    ours = _values(new)
    theirs = {key: value for key, value in _values(old).items() if key[1] in seeds}
    keys = sorted({*ours, *theirs})
    failed = [key for key in keys if _bits(ours.get(key)) != _bits(theirs.get(key))]
    worst = max(failed, key=lambda key: _distance(ours.get(key), theirs.get(key)), default=None)
    text = ""
    if worst is not None:
        level, seed, arm, quantity, iteration = worst
        name = f"{_named(Cell(level, arm, quantity))}, seed {seed}, iteration {iteration}"
        text = f"{name}: {_exact(ours.get(worst))}, committed {_exact(theirs.get(worst))}"
    return Comparison("bits", bool(keys) and not failed, len(keys), len(failed), text)


def _compare_spread(new: Results, old: Results) -> Comparison:
    """Judge each level, arm and metric; the worst is the furthest out in units of its limit."""
    judged = list(_judged(new, old))
    failed = [share for share, _ in judged if not share <= 1]
    _, text = max(judged, key=lambda pair: math.inf if pair[0] != pair[0] else pair[0])
    return Comparison("spread", not failed, len(judged), len(failed), text)


def _judged(new: Results, old: Results) -> Iterator[tuple[float, str]]:
    """Yield each difference as a share of what is allowed, and in words."""
    cells = {c for r in (new, old) for c in r.curves if c.quantity in old.metrics}
    if not cells:
        yield math.inf, "no run has finished"
    for cell in sorted(cells):
        ours, theirs = [*new.last(cell).values()], [*old.last(cell).values()]
        if not ours or len(theirs) < 2:
            lacking = "no new run" if not ours else "fewer than two committed runs"
            yield math.inf, f"{_named(cell)}: {lacking} to compare"
        else:
            value, centre, allowed = _limits(ours, theirs)
            texts = [number(v, decimals([centre], 5)) for v in (value, centre, allowed)]
            share = abs(value - centre) / allowed if allowed else math.inf
            share = 0.0 if value == centre else share
            yield share, f"{_named(cell)}: {texts[0]}, committed {texts[1]} ± {texts[2]}"


def _limits(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the new mean, the committed mean, and the difference that is allowed."""
    n, centre = len(theirs), statistics.fmean(theirs)
    width = t_quantile(n - 1, PREDICTION) * statistics.stdev(theirs)
    allowed = width * math.sqrt(1 / n + 1 / len(ours))
    return statistics.fmean(ours), centre, max(allowed, LEAST_SHARE * abs(centre))


def _named(cell: Cell) -> str:
    level = "" if cell.level == ONLY_LEVEL else f"{cell.level}, "
    return f"{level}{cell.arm}, {cell.quantity}"


def _bits(value: float | None) -> bytes:
    return b"" if value is None else struct.pack("<d", value)


def _exact(value: float | None) -> str:
    return "nothing" if value is None else repr(value)


def _distance(ours: float | None, theirs: float | None) -> float:
    """Return the relative difference; infinite where one is missing or not a number."""
    if ours is None or theirs is None or not (math.isfinite(ours) and math.isfinite(theirs)):
        return math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-300)
