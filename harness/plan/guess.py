"""A first guess of what runs cost, from the networks' arithmetic and two numbers of a device.

The numbers are of other machines. A guess is for choosing between an hour and a month, and its
interval says so; ``harness calibrate`` measures.
"""

from dataclasses import dataclass

from harness.plan.disk import weights_gib
from harness.plan.estimate import NOTHING, Estimate
from harness.plan.figures import Figures
from harness.plan.film import tiles
from harness.plan.keeping import checkpoint_gib
from harness.plan.schedule import passes, phases
from harness.plan.work import activations, macs_per_image, parameters, training_macs
from harness.spec.schema import Evaluate, Spec
from harness.spec.vocabulary import FEATURES, PATH_METRICS


@dataclass(frozen=True, slots=True)
class Rates:
    """A device's speed.

    Args:
        gmacs_per_sec: thousand million multiply-adds a second in training, all threads of a run.
        step_sec: seconds of a training step that do not depend on its size.
        draw_images_per_sec: images a second through small networks, without their arithmetic.
        start_sec: seconds until a run's first step.
        disk_gib_per_sec: to and from the disk.
        factor: seconds by these numbers may be so many times too many or too few.
        told: what the numbers are, in words.
    """

    gmacs_per_sec: float
    step_sec: float
    draw_images_per_sec: float
    start_sec: float
    disk_gib_per_sec: float
    factor: float
    told: str


RATES = {
    # A fit to training steps timed by hand on two 2.5 GHz cores.
    "cpu": Rates(24.0, 0.024, 5000.0, 3.0, 0.5, 3.0, "two 2.5 GHz cores"),
    # From published peak rates and launch counts, not measured with this harness.
    "cuda": Rates(10000.0, 0.015, 3000.0, 8.0, 0.5, 10.0, "a published GPU, not measured"),
}
_EXTRACTOR_GMACS = {"inception-v3-compat": 5.7}
"""Of one image; those of the small extractors are in ``draw_images_per_sec``."""
_BASE_GIB = Estimate(0.5, 0.4, 1.0)
"""Of a process that has loaded torch, before it has a network."""
_CUDA_BASE_GIB = Estimate(1.5, 0.8, 4.0)
"""Of one that has a CUDA context, too."""
_MEMORY_FACTOR = 3.0
_FRAME_SEC = 0.02
_GRID = 64
"""Images of a grid that a hook draws, where it does not say."""
_GIB = 2**30


def guess(spec: Spec, device: str, shared: float) -> Figures:
    """Return figures by the rates of ``device``.

    Args:
        device: ``cpu`` or ``cuda``.
        shared: how many runs share what computes.
    """
    rates = RATES[device]

    def sec(value: float) -> Estimate:
        return Estimate.within(shared * value, rates.factor)

    steps = {phase.scale: sec(step_sec(spec, phase.scale, rates)) for phase in phases(spec)}
    side = spec.growth.scales[-1]
    frames = (1 + len(spec.observers.ema)) * tiles(side, side)
    snapshot_gib = parameters(spec)[0] * 4 / _GIB
    return Figures(
        step_sec={(scale, fading): steps[scale] for scale in steps for fading in (False, True)},
        pass_sec={scale: sec(pass_sec(spec, scale, rates)) for scale in passes(spec).arms},
        frame_sec=sec(_FRAME_SEC + frames / rates.draw_images_per_sec),
        drawing_sec=sec(_FRAME_SEC + _GRID / rates.draw_images_per_sec),
        neighbours_sec=sec(_FRAME_SEC),
        rebuild_sec=sec(snapshot_gib / rates.disk_gib_per_sec + _FRAME_SEC / 10),
        checkpoint_sec=sec(checkpoint_gib(spec) / rates.disk_gib_per_sec + _FRAME_SEC),
        start_sec=sec(rates.start_sec),
        rss_gib=_rss_gib(spec, device),
        gpu_gib=NOTHING if device == "cpu" else _networks_gib(spec),
        source=f"rates of {rates.told}, within a factor of {rates.factor:g}",
    )


def step_sec(spec: Spec, scale: int, rates: Rates) -> float:
    """Return the seconds of one training step at a scale."""
    batch = spec.growth.batch_sizes[spec.growth.scales.index(scale)]
    return batch * training_macs(spec, scale) / 1e9 / rates.gmacs_per_sec + rates.step_sec


def pass_sec(spec: Spec, scale: int, rates: Rates) -> float:
    """Return the seconds of measuring one arm at a scale."""
    evaluate = spec.evaluate
    drawn = images_drawn(evaluate)
    gmacs = macs_per_image(spec.model, scale)[0] / 1e9
    gmacs += _EXTRACTOR_GMACS.get(evaluate.extractor_spec.type, 0.0)
    return drawn * (gmacs / rates.gmacs_per_sec + 1 / rates.draw_images_per_sec)


def images_drawn(evaluate: Evaluate) -> int:
    """Return how many images an arm is measured on at once; a step of a path has two."""
    paths = len(PATH_METRICS.intersection(evaluate.metrics))
    scored = evaluate.fake_images if paths < len(evaluate.metrics) else 0
    return scored + 2 * evaluate.pairs * paths


def training_cost(spec: Spec, images_shown: int) -> float:
    """Return the share of a run's training work, in [0, 1], done after ``images_shown``."""
    rates = RATES["cpu"]

    def done(images: int) -> float:
        return sum(
            iterations * step_sec(spec, scale, rates)
            for scale, _, iterations in spec.growth.segments(images)
        )

    return done(images_shown) / done(spec.total_images)


def _networks_gib(spec: Spec) -> Estimate:
    """Return what weights, gradients, moments and one batch's activations take."""
    growth = spec.growth
    batches = (
        batch * activations(spec, scale)
        for batch, scale in zip(growth.batch_sizes, growth.scales, strict=True)
    )
    values = 3 * sum(parameters(spec)) + max(batches)
    return Estimate.within(weights_gib(spec) + 4 * values / _GIB, _MEMORY_FACTOR)


def _rss_gib(spec: Spec, device: str) -> Estimate:
    evaluate = spec.evaluate
    features = 2 * 4 * evaluate.fake_images * FEATURES[evaluate.extractor_spec.type] / _GIB
    seen = Estimate.within(features, _MEMORY_FACTOR)
    if device == "cpu":
        return _BASE_GIB + _networks_gib(spec) + seen
    return _CUDA_BASE_GIB + seen
