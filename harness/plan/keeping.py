"""How a run's state is kept while it trains, and what that takes."""

from dataclasses import dataclass

from harness.plan.work import parameters
from harness.spec.schema import Spec

_GIB_PER_VALUE = 4 / 2**30
_ADAM = 2  # moments of each trained value


@dataclass(frozen=True, slots=True)
class Keeping:
    """When a run writes checkpoints, and when it is given up.

    None of this changes a run's numbers.

    Args:
        every_sec: seconds of a run between two checkpoints.
        count: checkpoints that are kept, the newest.
        stall_sec: a run that makes no step of training or evaluation for so long is ended.
    """

    every_sec: float = 300.0
    count: int = 2
    stall_sec: float = 1800.0


def checkpoint_gib(spec: Spec) -> float:
    """Return the size of one checkpoint: networks, averages, and the optimizers' moments."""
    generator, critic = parameters(spec)
    averages = len(spec.observers.ema) + (2 if spec.observers.posthoc else 0)
    values = (1 + _ADAM) * (generator + critic) + averages * generator
    return values * _GIB_PER_VALUE
