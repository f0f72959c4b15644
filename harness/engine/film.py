"""Samples kept at every evaluation, and the nearest real images of some at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from torch import Tensor, nn

from harness.data.prepare import Prepared
from harness.engine.arms import Evaluator
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.loops import ArmEvaluator
from harness.errors import Diverged
from harness.gans.base import GAN
from harness.images import to_uint8
from harness.isolation import own_streams
from harness.metrics.features import upscale_to
from harness.metrics.nearest import median_nearest, nearest
from harness.plan.film import MOST_TILES, WIDEST_PX, tiles
from harness.records import film
from harness.records.quantities import lookup
from harness.seeding import generator
from harness.spec.schema import Evaluate
from harness.spec.vocabulary import RAW

_SAMPLES = 8
_NEIGHBOURS = 3
_PIXELS = 2**20
"""Drawn at once at most; a fixed number, since float32 images depend on it a little."""


class Filmed:
    """Measures as another does and keeps pictures of it, within the clock of evaluations.

    The latents are the same for every arm at every evaluation: they are a function of the run's
    seed alone. Nothing of the run is changed, and an evaluation that is repeated leaves the same
    bytes. A model of one image has no nearest real image.

    Args:
        measured: measures the model.
        arms: the arms, and what looks at them.
        real: the real images.
        folder: the run's.
        total_images: real images shown when training ends.
    """

    def __init__(
        self,
        measured: ArmEvaluator,
        arms: Evaluator,
        real: Prepared,
        folder: Path,
        total_images: int,
    ) -> None:
        self.measured = measured
        self.arms = arms
        self.real = real.scales[max(real.scales)]
        self.folder = folder
        self.total_images = total_images

    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return what is measured, by ``QUANTITY/ARM``, after the pictures were written.

        Of several processes that measure together the main one draws and writes them, alone.

        Raises:
            Diverged: if an image is not finite.
            OutputError: if the run's folder cannot be written.
        """
        values = self.measured.evaluate(model, iteration)
        if is_main_process():
            self._keep(model, iteration, values)
        return values

    def _keep(self, model: GAN, iteration: int, values: Mapping[str, float]) -> None:
        networks = model.networks()
        latents = self._latents(model)
        count = tiles(*self.real.shape[-2:])
        drawn = {
            arm: _pixels(self._drawn(model, networks[name], latents[:count], iteration))
            for arm, name in self.arms.arms.items()
        }
        film.write_frame(self.folder, iteration, film.Frame(model.images_shown / 1000, drawn))
        if model.images_shown >= self.total_images and isinstance(self.arms, ArmsEvaluator):
            arm, chosen_by = best_arm(list(self.arms.arms), values, self.arms.settings)
            samples = self._drawn(
                model, networks[self.arms.arms[arm]], latents[:_SAMPLES], iteration
            )
            film.write_neighbours(self.folder, self._near(self.arms, samples, arm, chosen_by))

    def _latents(self, model: GAN) -> Tensor:
        random = generator(self.arms.seed, "film latents")
        return model.latents(MOST_TILES, random).to(self.arms.device)

    @torch.no_grad()
    def _drawn(self, model: GAN, network: nn.Module, latents: Tensor, iteration: int) -> Tensor:
        """Return images uint8 N3HW as large as they are drawn at this stage."""
        height, width = self.real.shape[-2:]
        parts = latents.split(max(1, _PIXELS // (height * width)))
        kwargs = self.arms.settings.sample_kwargs
        with own_streams(0, self.arms.device):  # the same noise for each arm, whoever draws it
            images = torch.cat([model.draw(network, part, kwargs) for part in parts])
        if not bool(images.isfinite().all()):
            raise Diverged(iteration, "a generated image")
        return to_uint8(images)

    def _near(
        self, arms: ArmsEvaluator, samples: Tensor, arm: str, chosen_by: str
    ) -> film.Neighbours:
        large = upscale_to(samples, arms.scale)
        members = arms.reference.features
        found = nearest(arms.extractor(large).features, members, _NEIGHBOURS)
        indices = found.indices.cpu().numpy()
        median, count = median_nearest(members)
        near = np.asarray(self.real[indices]).transpose(0, 1, 3, 4, 2)
        return film.Neighbours(
            arm=arm,
            chosen_by=chosen_by,
            extractor=arms.extractor.name,
            samples=_pixels(large),
            images=film.reduced(near, WIDEST_PX),
            indices=indices,
            distances=found.distances.cpu().numpy(),
            real_median=median,
            real_count=count,
        )


def best_arm(
    arms: Sequence[str], values: Mapping[str, float], settings: Evaluate
) -> tuple[str, str]:
    """Return the arm whose neighbours are looked for, and the quantity that chose it.

    It is the best in the first metric with a better direction; where there is none, the first
    shadow, or raw where that is alone, and an empty text.
    """
    for name in map(settings.quantity, settings.metrics):
        better = lookup(name).better
        if better != "neither":
            sign = 1 if better == "lower" else -1
            return min(arms, key=lambda arm: sign * values[f"{name}/{arm}"]), name
    return next((arm for arm in arms if arm != RAW), RAW), ""


def _pixels(images: Tensor) -> film.Images:
    """Return images uint8 N3HW as an array NHWC, of at most 256 px."""
    return film.reduced(images.permute(0, 2, 3, 1).cpu().numpy(), WIDEST_PX)
