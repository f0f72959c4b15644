"""How a calibration's time is spent: most of it on what a run does most."""

from dataclasses import dataclass

from harness.plan.guess import RATES, pass_sec, step_sec
from harness.plan.schedule import cycle, passes, phases
from harness.plan.work import training_macs
from harness.spec.schema import Spec

MOST_IMAGES = 2500
"""That a stage is trained on: more tell nothing new."""
LEAST_BLOCKS = 3
"""Of steps: fewer have no spread."""
_BLOCK_STEPS = 8
_EVEN_SHARE = 0.5
"""Of the time that every part has alike; the rest goes by what the parts take in a run."""

Part = tuple[str, int, bool]
"""``step`` or ``pass``, the scale in px, and whether it is being faded in."""


def shares(spec: Spec) -> dict[Part, float]:
    """Return the share of a calibration's time that each part has; they add up to 1."""
    rates = RATES["cpu"]
    weights: dict[Part, float] = {
        ("step", p.scale, p.fading): p.iterations * step_sec(spec, p.scale, rates)
        for p in phases(spec)
    }
    weights |= {
        ("pass", scale, False): count.value * pass_sec(spec, scale, rates)
        for scale, count in passes(spec).arms.items()
    }
    even, whole = _EVEN_SHARE / len(weights), sum(weights.values())
    return {part: even + (1 - _EVEN_SHARE) * w / whole for part, w in weights.items()}


@dataclass(frozen=True, slots=True)
class Blocks:
    """Steps that are timed together.

    Args:
        steps: of a block.
        whole: whether a block has every kind of step as often as training has.
    """

    steps: int
    whole: bool


def blocks(spec: Spec, step: float, sec: float) -> Blocks:
    """Return how steps of about ``step`` seconds are timed within ``sec`` seconds."""
    lazy = cycle(spec)
    wanted = lazy * -(-_BLOCK_STEPS // lazy)
    fitting = int(sec / step / LEAST_BLOCKS) if step > 0 else wanted
    if fitting >= wanted or lazy == 1:
        return Blocks(max(1, min(wanted, fitting)), True)
    # Better a little over the time than steps of one kind alone.
    return Blocks(lazy, True) if 2 * fitting >= lazy else Blocks(max(1, fitting), False)


def next_step_sec(spec: Spec, last: float, at: int, scale: int) -> float:
    """Return what a step will take at another scale, from ``last`` seconds at scale ``at``."""

    def work(here: int) -> float:
        batch = spec.growth.batch_sizes[spec.growth.scales.index(here)]
        return batch * training_macs(spec, here)

    return last * max(1.0, work(scale) / work(at))
