"""Two results folders side by side: what was asked, how it was measured, on what, and each value.

The seeds of two folders are runs apart, so their values are compared as independent ones (Welch);
only where every seed's losses are equal to the bit is it one training, and its seeds are pairs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.frames import REAL, RUN, Cell, Results
from harness.report.statistics import Difference, Judged, Spread, judged, paired, spread, welch
from harness.spec.measuring import Lpips
from harness.spec.vocabulary import EXTRACTED_METRICS, PATH_METRICS

_SAME_SHARE = 1e-3
"""Real images score so nearly the same wherever they are measured by one protocol."""
_NOT_GIVEN = "not given"


@dataclass(frozen=True, slots=True)
class Pair:
    """A level, arm and metric of both.

    Args:
        cell: which.
        ours: over A's seeds, at the end of training.
        theirs: over B's.
        equal: whether every seed has the same bits.
        judged: B minus A, judged over all pairs; None for the real images.
    """

    cell: Cell
    ours: Spread
    theirs: Spread
    equal: bool
    judged: Judged | None


@dataclass(frozen=True, slots=True)
class Differs:
    """A setting or fact that differs, as A and as B have it."""

    name: str
    ours: str
    theirs: str


@dataclass(frozen=True)
class Beside:
    """Two folders' results, compared.

    Args:
        settings: fields of the specs that differ.
        machines: facts of machines, versions and source that differ.
        pairs: what both measured by one protocol, metric by metric.
        unlike: by metric, why its numbers are not compared: the facts of the protocols.
        alone: what only one of them measured: ``A`` or ``B``, and its cells.
    """

    settings: Sequence[Differs]
    machines: Sequence[Differs]
    pairs: Sequence[Pair]
    unlike: Mapping[str, Sequence[Differs]]
    alone: Mapping[str, Sequence[Cell]]


def beside(ours: Results, theirs: Results) -> Beside:
    """Compare A's results with B's."""
    unlike = dict(_unlike(ours, theirs))
    cells = [c for c in _cells(ours) if c in theirs.curves and c.quantity not in unlike]
    same = {level: _same_runs(ours, theirs, level) for level in {cell.level for cell in cells}}
    compared = [_compared(ours, theirs, cell, same[cell.level]) for cell in cells]
    pairs = [
        Pair(cell, spread(a), spread(b), repr(a) == repr(b), difference)
        for cell, (a, b, _), difference in zip(
            cells, compared, judged([difference for *_, difference in compared]), strict=True
        )
    ]
    return Beside(
        differing(ours.plan.settings(), theirs.plan.settings()),
        differing(_described(ours), _described(theirs)),
        pairs,
        unlike,
        {"A": _missing_from(theirs, ours), "B": _missing_from(ours, theirs)},
    )


def _cells(results: Results) -> list[Cell]:
    """Return what has a metric's value at the end of training, in the plan's order."""
    measured = dict.fromkeys(cell.arm for cell in results.curves)
    arms = dict.fromkeys([REAL, *(arm.name for arm in results.plan.arms), *measured])
    cells = (
        Cell(level, arm, metric)
        for metric in results.metrics
        for level in results.plan.levels
        for arm in arms
    )
    return [cell for cell in cells if cell in results.curves]


def _missing_from(other: Results, own: Results) -> list[Cell]:
    return [cell for cell in _cells(own) if cell not in other.curves]


def _compared(
    ours: Results, theirs: Results, cell: Cell, pairs: Sequence[int]
) -> tuple[list[float], list[float], Difference | None]:
    """Return the last values of A and of B, of the seeds that are pairs if some are, and B - A."""
    a, b = ours.last(cell), theirs.last(cell)
    seeds = [seed for seed in pairs if seed in a and seed in b]
    values = [a[seed] for seed in seeds or a], [b[seed] for seed in seeds or b]
    if cell.arm == REAL:
        return *values, None
    return *values, (paired if seeds else welch)(values[1], values[0])


def _same_runs(ours: Results, theirs: Results, level: str) -> list[int]:
    """Return the seeds that both trained, where each was the same training; else nothing."""
    seeds = [seed for seed in ours.finished[level] if seed in theirs.finished[level]]
    losses = [
        cell
        for cell in {*ours.curves, *theirs.curves}
        if (cell.level, cell.arm) == (level, RUN) and cell.quantity.startswith("loss/")
    ]
    same = all(
        repr(ours.curves.get(cell, {}).get(seed)) == repr(theirs.curves.get(cell, {}).get(seed))
        for cell in losses
        for seed in seeds
    )
    return seeds if losses and same else []


def _unlike(ours: Results, theirs: Results) -> Iterator[tuple[str, list[Differs]]]:
    """Yield the metrics of both that were not measured by one protocol, and what differs."""
    levels = [level for level in ours.plan.levels if level in theirs.plan.levels]
    for metric in ours.metrics:
        if metric not in theirs.metrics:
            continue
        found = _unlike_facts(ours, theirs, levels, metric)
        found = found or _unlike_real(ours, theirs, levels, metric)
        if found:
            yield metric, [*dict.fromkeys(found)]


def _unlike_facts(
    ours: Results, theirs: Results, levels: Sequence[str], metric: str
) -> list[Differs]:
    """Return what differs in the protocols, or in the specs where one has recorded none."""
    recorded = ours.protocols.get(metric), theirs.protocols.get(metric)
    if recorded[0] is not None and recorded[1] is not None:
        return differing(recorded[0].facts, recorded[1].facts)
    return [
        differs
        for level in levels
        for differs in differing(_facts(ours, level, metric), _facts(theirs, level, metric))
    ]


def _facts(results: Results, level: str, metric: str) -> dict[str, Any]:
    """Return how a metric was measured, as far as the spec says."""
    spec, name = results.run(level).spec, metric.partition("[")[0]
    evaluate = spec.evaluate
    facts: dict[str, Any] = {"data": spec.data.model_dump(), "size_px": spec.model.out_scale}
    if name in PATH_METRICS:
        return {**facts, "pairs": evaluate.pairs, "lpips": _dumped(evaluate.lpips)}
    facts |= {"fake_images": evaluate.fake_images, **evaluate.sample_kwargs}
    if name in EXTRACTED_METRICS:
        facts["extractor"] = evaluate.extractor_spec.model_dump()
    if name == "kid":
        facts |= {"subsets": evaluate.kid_subsets, "subset_size": evaluate.kid_subset_size}
    return facts


def _dumped(lpips: Lpips | None) -> dict[str, Any] | None:
    return None if lpips is None else lpips.model_dump()


def _unlike_real(
    ours: Results, theirs: Results, levels: Sequence[str], metric: str
) -> list[Differs]:
    """Find protocols out that differ in what no record says: the real images score otherwise."""
    found = []
    for level in levels:
        a, b = (results.last(Cell(level, REAL, metric)) for results in (ours, theirs))
        found += [
            Differs("score of the real images", f"{a[seed]:.6g}", f"{b[seed]:.6g}")
            for seed in a
            if seed in b and not math.isclose(a[seed], b[seed], rel_tol=_SAME_SHARE)
        ]
    return found


def _described(results: Results) -> dict[str, Any]:
    """Return what the runs ran on; of several machines, the first, and how many there are."""
    machine = {k: v for k, v in results.machine.items() if k not in {"also", "resumed", "runs"}}
    also = results.machine.get("also", ())
    return {**machine, **({"machines and sources": 1 + len(also)} if also else {})}


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> list[Differs]:
    """Return the fields that differ by their dotted paths; what only one has, as a whole."""
    found: list[Differs] = []
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name, _NOT_GIVEN), theirs.get(name, _NOT_GIVEN)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differing(a, b, f"{path}{name}.")
        elif repr(a) != repr(b):
            found.append(Differs(f"{path}{name}", _text(a), _text(b)))
    return found


def _text(value: Any) -> str:
    return value if value is _NOT_GIVEN else json.dumps(value, ensure_ascii=False, default=str)
