"""Runs that train alike until they differ: which they are, until when, and what that saves.

Of two runs of one seed these may differ, and nothing else; up to where, is proven field by field:

- ``train.kimg``: how many images are shown in all is asked only whether the end has come, after
  each batch. So everything before the batch that ends the shorter run is the same.
- ``model.nkimgs_per_scale``, ``model.transition_kimgs``, ``train.batch_size``: training reads them
  as the stage and the batch size of the images shown, two functions of ``GrowthSchedule``, which
  are compared here where they first differ. Averages that take their weight from the final batch
  size have to have the same.
- ``train.lr_per_scale``: a rate is set where its scale is entered, as a ratio to that of the scale
  before; the first scale's is there from the start.
- ``train.reset_optimizer_per_scale``: asked where a scale is entered, first at the second one.
- ``reduce_lr``: a rule reads what is measured and does nothing else until it lowers a rate.

The batch that reaches the limit is trained apart already: pictures and rows that follow it show the
stage that comes next.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice

from harness.plan.expand import Run
from harness.spec.growth import GrowthSchedule
from harness.spec.identity import digest
from harness.spec.schema import Spec

_LATE = {
    "train": {"kimg", "batch_size", "lr_per_scale", "reset_optimizer_per_scale"},
    "model": {"nkimgs_per_scale", "transition_kimgs"},
}


def families(runs: Iterable[Run]) -> list[tuple[Run, ...]]:
    """Return the runs in their order, those together that may begin alike."""
    keys: dict[int, str] = {}
    found: dict[tuple[int, str], list[Run]] = {}
    for run in runs:
        key = keys.get(id(run.spec)) or keys.setdefault(id(run.spec), _key(run.spec))
        found.setdefault((run.seed, key), []).append(run)
    return [tuple(family) for family in found.values()]


def riders(trunk: Run, family: Iterable[Run]) -> tuple[Run, ...]:
    """Return the other runs of a family that begin as the trunk does."""
    return tuple(
        run for run in family if run.name != trunk.name and fork_images(trunk.spec, run.spec) != 0
    )


def fork_images(one: Spec, other: Spec) -> int | None:
    """Return how many images two runs of a family train alike on, their rules left aside.

    Returns:
        Images shown when the batch begins that each trains by itself; None: alike to the end.
    """
    limit = min(_growth_limit(one, other), _end_limit(one, other))
    if limit > shown_after(one.growth, one.total_images):
        return None
    return _shown_before(one.growth, int(limit))


def shown_after(growth: GrowthSchedule, images: int) -> int:
    """Return the images shown after the first batch that reaches a number of them."""
    return sum(shown for _, shown, _ in growth.segments(images))


def shared(runs: Sequence[Run]) -> dict[str, tuple[int, int]]:
    """Return how many images each run takes over from another, by the runs' names.

    Returns:
        At least, since no rule can act earlier, and at most, should none ever act. Runs that begin
        by themselves are left out.
    """
    found: dict[str, tuple[int, int]] = {}
    of_levels: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for family in families(runs):
        levels = tuple(run.level for run in family)  # seeds do not differ in this
        images = of_levels.get(levels) or of_levels.setdefault(levels, [*_shared(family)])
        pairs = zip(family, images, strict=True)
        found |= {run.name: bounds for run, bounds in pairs if bounds[1]}
    return found


def _shared(family: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for number, run in enumerate(family):
        pairs = [_alike(run, earlier) for earlier in family[:number]]
        yield max((least for least, _ in pairs), default=0), max((m for _, m in pairs), default=0)


def _alike(run: Run, other: Run) -> tuple[int, int]:
    end = shown_after(run.spec.growth, run.spec.total_images)
    fork = fork_images(run.spec, other.spec)
    most = end if fork is None else fork
    if run.reduce_lr == other.reduce_lr:
        return most, most
    return min(most, _earliest(run), _earliest(other)), most


def _earliest(run: Run) -> int:
    """Return the images shown at the first evaluation at which a run's rule can act.

    A first value is always better than none, each after it may be worse, and one more than
    ``patience`` of these have to come.
    """
    if run.reduce_lr is None:
        return shown_after(run.spec.growth, run.spec.total_images)
    looks = run.reduce_lr.scheduler.patience + 2
    *_, last = islice(evaluations(run.spec), looks * run.reduce_lr.interval)
    return last


def evaluations(spec: Spec) -> Iterator[int]:
    """Yield the images shown at each evaluation of a run."""
    total, every = spec.total_images, round(spec.evaluate.every_kimg * 1000)
    first = spec.evaluate.first_kimg
    marks = {*range(every, total, every), total}
    if first is not None:
        marks.add(min(total, round(first * 1000)))
    last = 0
    for mark in sorted(marks):
        shown = shown_after(spec.growth, mark)
        if shown > last:  # two marks may lie in one batch
            yield shown
        last = shown


def _key(spec: Spec) -> str:
    """Return a digest of all that runs of one family and seed have in common."""
    fields: dict[str, object] = dict(spec.of_a_run)
    for section, late in _LATE.items():
        given: Mapping[str, object] = spec.of_a_run[section]
        fields[section] = {name: value for name, value in given.items() if name not in late}
    batch = spec.final_batch_size
    averages = {name: ema.hook_cfg(batch) for name, ema in spec.observers.ema.items()}
    return digest({"spec": fields, "averages": averages, "scales": spec.growth.scales})


def _end_limit(one: Spec, other: Spec) -> float:
    totals = {one.total_images, other.total_images}
    return min(totals) if len(totals) > 1 else math.inf


def _growth_limit(one: Spec, other: Spec) -> float:
    """Return the images after which stage, batch size or rates may differ."""
    ours, theirs = _starts(one.growth), _starts(other.growth)
    for index, scale in enumerate(one.growth.scales):
        if ours[index] != theirs[index]:
            return min(ours[index], theirs[index])
        if _entered(one, scale, index) != _entered(other, scale, index):
            return ours[index]
    return math.inf


def _starts(growth: GrowthSchedule) -> list[int]:
    return [0, *accumulate(growth.images[:-1])]


def _entered(spec: Spec, scale: int, index: int) -> tuple[object, ...]:
    """Return what training reads where it enters a scale."""
    rate = spec.train.lr_per_scale.get(scale, spec.train.optimizer.lr)
    if index == 0:
        return rate, spec.growth.batch_sizes[0]
    reset, fade = spec.train.reset_optimizer_per_scale, spec.growth.transition_images
    return rate, spec.growth.batch_sizes[index], reset, fade


def _shown_before(growth: GrowthSchedule, images: int) -> int:
    """Return the images shown before the first batch that reaches a number of them."""
    segments = [(shown, count) for _, shown, count in growth.segments(images) if count]
    if not segments:
        return 0
    shown, count = segments[-1]
    return sum(shown for shown, _ in segments) - shown // count
