"""What runs leave on disk when they have ended."""

from harness.plan.estimate import Estimate, total
from harness.plan.film import film_gib
from harness.plan.work import parameters
from harness.spec.schema import Spec

_GIB_PER_VALUE = 4 / 2**30
_TRAJECTORY = Estimate(1150.0, 1000.0, 1400.0)
"""Values of a network's trajectory at each iteration: about 1,000, and some of every tensor."""
_CHECK_ITERATIONS = 64
"""Between two looks at every average."""
_COMPRESSED = Estimate(0.6, 0.2, 1.0)
"""What is left of a film's pictures: little of blurred ones, nearly all of noise."""
_REST_GIB = Estimate(0.5 / 1024, 0.1 / 1024, 2 / 1024)
"""Rows, logs, samples and grids of a run."""


def snapshots(spec: Spec) -> int:
    """Return how many snapshots of each average a post-hoc EMA leaves behind in a run."""
    posthoc = spec.observers.posthoc
    if posthoc is None:
        return 0
    iterations = spec.growth.iterations(spec.total_images)
    return min(iterations, -(-spec.total_images // posthoc.every_images))


def snapshots_gib(spec: Spec) -> float:
    """Return the size of a run's snapshots, of both averages."""
    return 2 * snapshots(spec) * parameters(spec)[0] * _GIB_PER_VALUE


def weights_gib(spec: Spec) -> float:
    """Return the size of the trained networks and every average that is kept of them."""
    generator, critic = parameters(spec)
    return ((1 + _averages(spec)) * generator + critic) * _GIB_PER_VALUE


def trajectory_gib(spec: Spec) -> Estimate:
    """Return the size of what averages are certified by: the longer the run, the larger."""
    if not _averages(spec):
        return Estimate.exactly(0.0)
    iterations = spec.growth.iterations(spec.total_images)
    rows = iterations + (iterations / _CHECK_ITERATIONS + 2) * _averages(spec)
    return _TRAJECTORY * (rows * _GIB_PER_VALUE)


def run_gib(spec: Spec) -> Estimate:
    """Return what a run leaves behind, in all."""
    known = Estimate.exactly(weights_gib(spec) + snapshots_gib(spec))
    return total([known, trajectory_gib(spec), _COMPRESSED * film_gib(spec), _REST_GIB])


def _averages(spec: Spec) -> int:
    return len(spec.observers.ema) + (2 if spec.observers.posthoc else 0)
