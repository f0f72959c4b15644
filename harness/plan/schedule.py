"""What a run does and how often: steps of each kind, measured arms, pictures, snapshots.

All of it follows from the spec, in whole numbers, but for the new bests, which training decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import lcm

from harness.plan.estimate import NOTHING, Estimate
from harness.records.quantities import lookup
from harness.spec.schema import Logistic, Spec, rebuilt_arms

BESTS = 0.9
"""Share of the evaluations at the final resolution that are expected to be an arm's best so far.
The first one always is; of those in this project's quick tiers 83 to 100 % were."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps that cost the same.

    Args:
        scale: in px.
        fading: whether the scale's layers are being faded in, which computes two ways at once.
        begin: images shown before them.
        images: shown in them.
        iterations: how many steps they are.
    """

    scale: int
    fading: bool
    begin: int
    images: int
    iterations: int


def phases(spec: Spec) -> list[Phase]:
    """Return a run's steps in order, without phases that have none."""
    growth, shown = spec.growth, 0
    found: list[Phase] = []
    begins = (0, *accumulate(growth.images))
    sizes = zip(growth.segments(spec.total_images), growth.batch_sizes, begins, strict=False)
    for (scale, images, iterations), batch, begin in sizes:
        faded = begin + growth.transition_images if begin else 0
        fading = min(iterations, max(0, -(-(faded - shown) // batch)))
        found.append(Phase(scale, True, shown, fading * batch, fading))
        rest = iterations - fading
        found.append(Phase(scale, False, shown + fading * batch, rest * batch, rest))
        shown += images
    return [phase for phase in found if phase.iterations]


@dataclass(frozen=True, slots=True)
class Looks:
    """How often all arms are measured while a scale is trained.

    Args:
        scale: in px.
        within: evaluations before the scale's last step.
        after: evaluations after it, 0 or 1; its images are of the scale that comes next.
        next_scale: in px; the scale itself where it is the last.
    """

    scale: int
    within: int
    after: int
    next_scale: int


def looks(spec: Spec) -> list[Looks]:
    """Return the evaluations of every scale that is trained, the end's included."""
    growth, every = spec.growth, round(spec.evaluate.every_kimg * 1000)
    first = round((spec.evaluate.first_kimg or 0) * 1000)
    found, begin = [], 0
    for scale, images, iterations in growth.segments(spec.total_images):
        if not iterations:
            continue
        end, batch = begin + images, images // iterations
        # A batch that is larger than what lies between two evaluations is followed by one.
        count = min(iterations, end // every - begin // every)
        regular = end // every > (end - batch) // every
        wanted = begin + -(-(first - begin) // batch) * batch if begin < first <= end else 0
        if wanted and wanted // every == (wanted - batch) // every:
            count += 1
        last = end >= spec.total_images  # and then the first one was before: it is before ``every``
        count += int(last and not regular)
        after = regular or last or wanted == end
        found.append(Looks(scale, count - after, int(after), growth.stage(end).scale))
        begin = end
    return found


@dataclass(frozen=True, slots=True)
class Passes:
    """How often a network is measured and how much is drawn beside.

    Args:
        arms: passes of an arm by scale, on fresh latents too.
        frames: evaluations, each of which keeps a picture of every arm.
        rebuilt: averages that are rebuilt after training.
    """

    arms: Mapping[int, Estimate]
    frames: int
    rebuilt: int


def passes(spec: Spec) -> Passes:
    """Return what a run measures; the new bests before its end are from the fewest to all."""
    arms, rebuilt = 1 + len(spec.observers.ema), len(rebuilt_arms(spec))
    found = looks(spec)
    counts: dict[int, Estimate] = {}
    for scale, count in [pair for look in found for pair in _drawn(look)]:
        counts[scale] = counts.get(scale, NOTHING) + Estimate.exactly(arms * count)
    again = (arms + rebuilt) * (spec.evaluate.fresh or 0) + rebuilt
    counts[found[-1].next_scale] += Estimate.exactly(again)
    if bests := _bests(spec, found):
        counts[found[-1].scale] += bests * arms
    return Passes(counts, sum(look.within + look.after for look in found), rebuilt)


def _drawn(look: Looks) -> list[tuple[int, int]]:
    """Return (scale of the images, evaluations), without scales that have none."""
    pairs = [(look.scale, look.within), (look.next_scale, look.after)]
    return [(scale, count) for scale, count in pairs if count]


def _bests(spec: Spec, found: Sequence[Looks]) -> Estimate | None:
    """Return at how many evaluations before the end an arm is measured on a fresh set, too."""
    last = found[-1]
    directed = any(lookup(metric).better != "neither" for metric in spec.evaluate.metrics)
    final = last.scale == spec.growth.scales[-1]
    if spec.evaluate.fresh is None or not directed or not final or not last.within:
        return None
    return Estimate(max(1.0, BESTS * last.within), 1.0, float(last.within))


def drawings(spec: Spec) -> int:
    """Return how often the spec's hooks draw while it trains."""
    iterations = spec.growth.iterations(spec.total_images)
    drawing = (hook for hook in spec.hooks if hook.get("type") == "VisualizationHook")
    intervals = (hook.get("interval", 1000) for hook in drawing)
    return sum(iterations // every for every in intervals if isinstance(every, int) and every > 0)


def cycle(spec: Spec) -> int:
    """Return after how many steps their cost repeats: lazy penalties come every few."""
    loss = spec.train.loss
    if not isinstance(loss, Logistic):
        return 1
    lazy = (loss.r1_gamma, loss.r1_interval), (loss.path_weight, loss.path_interval)
    return lcm(*(interval for weight, interval in lazy if weight))
