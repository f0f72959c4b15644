"""Evaluation of every arm of a run: the same latents for each, one pass for all metrics."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.prepare import Prepared
from harness.errors import Diverged
from harness.gans.base import GAN
from harness.images import to_uint8
from harness.metrics.evaluation import Evaluation, quantity
from harness.metrics.features import load_extractor, upscale_to
from harness.metrics.reference import load_reference
from harness.seeding import generator
from harness.spec.schema import Evaluate
from harness.spec.vocabulary import EXTRACTED_METRICS

_SWD_IMAGES = 8192


class ArmsEvaluator:
    """Measures each arm of a GAN against the real images.

    Images of a scale below the final one are enlarged to it (nearest) first, so that a metric
    means the same throughout a run.

    Args:
        settings: what is measured, on how many images.
        real: the real images.
        arms: each arm's name and the name of its network in ``model.networks()``.
        seed: the run's; latents are a function of it and the images shown.
        device: where networks and extractor compute.
        cache_dir: where the real images' features are kept.
    """

    def __init__(
        self,
        settings: Evaluate,
        real: Prepared,
        arms: Mapping[str, str],
        seed: int,
        device: torch.device,
        cache_dir: Path,
    ) -> None:
        self.settings = settings
        self.arms = dict(arms)
        self.seed = seed
        self.device = device
        self.scale = max(real.scales)
        spec = settings.extractor_spec
        weights = None if spec.weights is None else Path(spec.weights)
        self.extractor = load_extractor(
            spec.type, weights=weights, weights_sha256=spec.weights_sha256, device=device
        )
        images = torch.from_numpy(np.array(real.scales[self.scale]))
        swd = min(_SWD_IMAGES, len(images), settings.fake_images)
        self.reference = load_reference(
            images,
            self.extractor,
            cache_dir=cache_dir,
            swd_images=swd if "swd" in settings.metrics else 0,
        )

    def real_values(self) -> dict[str, float]:
        """Return what the real images themselves score: the FID of random halves, their IS."""
        values = {"fid": self.reference.fid_floor, "is": self.reference.inception_score}
        return {
            quantity(name, self.extractor.name): value
            for name, value in values.items()
            if name in EXTRACTED_METRICS & set(self.settings.metrics)
        }

    @torch.no_grad()
    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return every metric of every arm, by ``QUANTITY/ARM``.

        Raises:
            Diverged: if an image is not finite.
        """
        networks = model.networks()
        values: dict[str, float] = {}
        for arm, name in self.arms.items():
            measured = self.measure(model, networks[name], iteration)
            values |= {f"{quantity}/{arm}": value for quantity, value in measured.items()}
        return values

    @torch.no_grad()
    def measure(self, model: GAN, network: nn.Module, iteration: int) -> dict[str, float]:
        """Return every metric of one network, on the latents that all arms have in common.

        Raises:
            Diverged: if an image is not finite.
        """
        latents = self.latents(model, "evaluation latents", self.settings.fake_images)
        evaluation = Evaluation(
            self.settings.metrics,
            reference=self.reference,
            extractor=self.extractor,
            kid_subsets=self.settings.kid_subsets,
            kid_subset_size=self.settings.kid_subset_size,
        )
        for batch in latents.split(self.settings.batch_size):
            images = model.draw(network, batch)
            if not bool(images.isfinite().all()):
                raise Diverged(iteration)
            evaluation.update(upscale_to(to_uint8(images), self.scale))
        return evaluation.compute()

    def latents(self, model: GAN, purpose: str, count: int) -> Tensor:
        """Return latents, the same on every device."""
        random = generator(self.seed, purpose, model.images_shown)
        return model.latents(count, random).to(self.device)

    @torch.no_grad()
    def samples(self, model: GAN, count: int) -> dict[str, NDArray[np.uint8]]:
        """Return ``count`` images uint8 NHWC of each arm, from the same latents."""
        latents = self.latents(model, "sample latents", count)
        networks = model.networks()
        return {
            arm: to_uint8(model.draw(networks[name], latents)).permute(0, 2, 3, 1).cpu().numpy()
            for arm, name in self.arms.items()
        }
