"""What arms measure on fresh latents: their values at the end, and the bests measured again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from harness.records.quantities import fresh, lookup
from harness.report.frames import REAL, Cell, Results
from harness.report.intervals import (
    Array,
    Components,
    components,
    independent_noise,
    paired_noise,
)


def bests(results: Results, cell: Cell) -> dict[int, tuple[float, float]]:
    """Return where in training each seed was best at the final resolution: (kimg, value).

    The first of equals; the end where nothing was measured at the final resolution.
    """
    # A smaller resolution is an easier task, whose values are not this one's.
    growth = results.run(cell.level).spec.growth
    sign = -1 if lookup(cell.quantity).better == "higher" else 1
    curves = results.curves[cell]
    every = {kimg for curve in curves.values() for kimg, _ in curve}
    final = {kimg for kimg in every if growth.is_final(round(kimg * 1000))}
    return {
        seed: min(
            [point for point in curve if point[0] in final] or curve[-1:],
            key=lambda point: sign * point[1],
        )
        for seed, curve in curves.items()
    }


def measured_again(results: Results, cell: Cell) -> dict[int, float]:
    """Return each seed's best, as measured on fresh latents; seeds without are left out."""
    fresh_curves = results.curves.get(_on_set(cell, 1))
    if fresh_curves is None:  # as nearly always, and all bests are dear
        return {}
    found = {}
    for seed, (kimg, _) in bests(results, cell).items():
        again = dict(fresh_curves.get(seed, []))
        if kimg in again:
            found[seed] = again[kimg]
    return found


def on_sets(results: Results, cell: Cell) -> dict[int, list[float]]:
    """Return each seed's values at the end, by set of latents, the usual one first.

    Only seeds that were measured on every set; none at all where there is one set.
    """
    if _on_set(cell, 1) not in results.curves:
        return {}
    curves = results.curves.get(cell, {})
    found = {seed: [curve[-1][1]] for seed, curve in curves.items()}
    sets = 1
    for number in count(1):
        again = results.curves.get(_on_set(cell, number))
        if again is None:
            break
        sets += 1
        for seed, points in again.items():
            if seed in found and points[-1][0] == curves[seed][-1][0]:
                found[seed].append(points[-1][1])
    return {seed: values for seed, values in found.items() if len(values) == sets > 1}


def noise(results: Results, metric: str) -> Components | None:
    """Return evaluation's and training's part in a metric's spread, over all arms and levels."""
    levels = []
    for level in results.plan.levels:
        cells = (Cell(level, arm.name, metric) for arm in results.arms(level))
        levels += _array([sets for cell in cells if (sets := on_sets(results, cell))])
    return _components(levels)


def noise_of(results: Results, cell: Cell) -> Components | None:
    """Return evaluation's and training's part in the spread of one arm; None for real images."""
    return None if cell.arm == REAL else _components(_array([on_sets(results, cell)]))


def noise_between(results: Results, ours: Cell, theirs: Cell, seeds: Sequence[int]) -> float | None:
    """Return how far fresh latents move the mean difference of two cells.

    Args:
        results: the evidence.
        ours: a level's arm.
        theirs: another arm of it, which is compared in pairs; or an arm of another level.
        seeds: those compared; for two levels all that there are.

    Returns:
        Half of a 95 % interval; None unless all were measured on fresh latents.
    """
    if ours.level == theirs.level:
        found = _array([on_sets(results, ours), on_sets(results, theirs)])
        whole = found and found[0].shape[1] == len(seeds)
        return paired_noise(*found[0]) if whole else None
    groups = [on_sets(results, cell) for cell in (ours, theirs)]
    pairs = zip(groups, (ours, theirs), strict=True)
    if not all(len(group) == len(results.last(cell)) > 0 for group, cell in pairs):
        return None
    return independent_noise([np.asarray([*group.values()]) for group in groups])


def _on_set(cell: Cell, number: int) -> Cell:
    return cell._replace(quantity=fresh(cell.quantity, number))


def _array(arms: Sequence[dict[int, list[float]]]) -> list[Array]:
    """Return arms' values as ASK over the seeds that all have, in a list; empty without any."""
    seeds = [seed for seed in arms[0] if all(seed in arm for arm in arms)] if arms else []
    if not seeds:
        return []
    sets = min(len(arm[seed]) for arm in arms for seed in seeds)
    return [np.asarray([[arm[seed][:sets] for seed in seeds] for arm in arms], float)]


def _components(levels: Sequence[Array]) -> Components | None:
    if not levels:
        return None
    sets = min(values.shape[2] for values in levels)
    return components([values[:, :, :sets] for values in levels])
