"""How long does SinGAN's published schedule take here? Predicted from measured steps of each scale.

The schedule is that of arXiv 1905.01164: one photograph at 250 px, 2000 iterations a scale, each of
three steps of the critic and three of the generator.
"""

import statistics
import time
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from harness.bench.finding import Finding
from harness.bench.timing import wait
from harness.data.photograph import prepare
from harness.engine.families import gan, optimizers
from harness.spec.load import load
from harness.spec.schema import SinGAN

_SPEC = Path("experiments/singan-ema.yaml")
_TURNS = 3


@dataclass(frozen=True)
class Prediction(Finding):
    """Measured steps of every scale, and what they come to.

    Args:
        sizes: H and W in px of each scale.
        seconds: of each measured iteration, by scale.
        iterations: of a scale in the schedule.
    """

    sizes: tuple[tuple[int, int], ...]
    seconds: tuple[tuple[float, ...], ...]
    iterations: int

    @property
    def total_sec(self) -> float:
        """Predicted seconds of training, without evaluations."""
        return self.iterations * sum(map(statistics.median, self.seconds))

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        last = statistics.median(self.seconds[-1])
        height, width = self.sizes[-1]
        return (
            f"SinGAN's published schedule on an image of {width} x {height} px, {len(self.sizes)} "
            f"scales of {self.iterations} iterations, takes {self.total_sec / 60:.0f} minutes, "
            f"predicted from {_TURNS} measured iterations of each scale; one at the finest takes "
            f"{last:.3f} s."
        )

    def csv(self) -> str:
        """A line a scale."""
        lines = ["scale,height_px,width_px,low_sec,median_sec,high_sec,scale_minutes"]
        for scale, ((height, width), times) in enumerate(
            zip(self.sizes, self.seconds, strict=True)
        ):
            middle = statistics.median(times)
            spread = f"{min(times):.5f},{middle:.5f},{max(times):.5f}"
            lines.append(f"{scale},{height},{width},{spread},{self.iterations * middle / 60:.3f}")
        return "\n".join([*lines, ""])


def measure(device: str) -> Prediction:
    """Train a few iterations of each scale, one scale after another, and time them."""
    spec = load(_SPEC, "gpu", ("seeds=[0]", "evaluate.extractor=random-conv-64"))
    assert isinstance(spec.model, SinGAN)
    real = prepare(spec.data.root or "", spec.pyramid)
    model = gan(spec, 0).to(device)
    wrappers = optimizers(spec, model)
    steps = spec.model.discriminator_steps
    seconds = []
    for scale, begin in zip(spec.growth.scales, accumulate((0, *spec.growth.images)), strict=False):
        pixels = torch.from_numpy(np.array(real.scales[scale])).to(device)
        batch = {"inputs": pixels.expand(steps, -1, -1, -1)}
        model.images_shown = begin
        losses = model.train_step(batch, wrappers)  # begins the scale, and warms up
        times = []
        for _ in range(_TURNS):
            wait()
            start = time.perf_counter()
            losses = model.train_step(batch, wrappers)
            wait()
            times.append(time.perf_counter() - start)
        if not all(bool(value.isfinite()) for value in losses.values()):
            raise RuntimeError(f"SinGAN diverged at {scale} px")
        seconds.append(tuple(times))
    return Prediction(spec.pyramid.sizes, tuple(seconds), spec.model.iters_per_scale)
