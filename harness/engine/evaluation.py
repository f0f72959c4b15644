"""Evaluation of every arm of a run: the same latents for each, one pass for all metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.data.prepare import Prepared
from harness.engine.arms import Evaluator
from harness.engine.path_lengths import PathLengths
from harness.gans.base import GAN
from harness.images import ROUNDING, to_uint8
from harness.metrics.evaluation import Evaluation, neighbours
from harness.metrics.features import UPSCALE, load_extractor, upscale_to
from harness.metrics.reference import FLOOR, load_reference
from harness.metrics.statistics_file import read_statistics
from harness.ranks.answers import everywhere
from harness.ranks.dealt import dealt
from harness.records.protocols import Facts
from harness.seeding import stated
from harness.spec.schema import Evaluate
from harness.spec.vocabulary import PATH_METRICS

_SWD_IMAGES = 8192
_PURPOSE = "evaluation latents"
_OF_FAKES = frozenset({"ms_ssim"})
"""Metrics that no real image takes part in, as it does in the row ``real`` of IS."""


class ArmsEvaluator(Evaluator):
    """Measures each arm of a GAN against the real images.

    Images of a scale below the final one are enlarged to it (nearest) first, so that a metric
    means the same throughout a run. ``settings.truncation`` holds for all images but those of path
    lengths.

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
        super().__init__(settings, arms, seed, device)
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
            neighbours=neighbours(settings.metrics),
            pixels_digest=real.digest,
        )
        self.real_facts: Facts = {
            "real_images": len(images),
            "real_px": self.scale,
            "real_sha256": real.digest,
            **real.facts,
        }
        self._facts_of: dict[str, Facts] = {"fid": {**self.real_facts, "real_row": FLOOR}}
        if settings.reference is not None:
            given = read_statistics(Path(settings.reference), self.extractor)
            self.reference = replace(self.reference, statistics=given.statistics, root=given.root)
            self._facts_of = {"fid": given.facts, "fid_inf": given.facts}
        self.paths = PathLengths(settings, self.extractor, seed, self.scale, device, self.drawn)

    def facts(self) -> dict[str, Facts]:
        """Return how each quantity is measured, by its name, the model left aside."""
        found = self.paths.facts()
        for name, facts in (self._evaluation().facts() if self._metrics else {}).items():
            real = {} if name in _OF_FAKES else self._facts_of.get(name, self.real_facts)
            found[name] = {**facts, **real, **self._images}
        return {self.settings.quantity(name): found[name] for name in self.settings.metrics}

    @property
    def _images(self) -> Facts:
        return {
            "fake_images": self.settings.fake_images,
            "px": self.scale,
            "upscale": UPSCALE,
            "rounding": ROUNDING,
            "truncation": self.settings.sample_kwargs.get("truncation", 1),
            "draws": stated(_PURPOSE),
        }

    def real_values(self) -> dict[str, float]:
        """Return what the real images themselves score: the FID of random halves, their IS.

        There is no such FID where it is measured against statistics of a file.
        """
        values = {"fid": self.reference.fid_floor, "is": self.reference.inception_score}
        if self.settings.reference is not None:
            del values["fid"]
        return {
            self.settings.quantity(name): value
            for name, value in values.items()
            if name in self.settings.metrics
        }

    def scores(self, model: GAN, network: nn.Module, fresh: int = 0) -> dict[str, float]:
        """Return every metric of one network, on the latents that all arms have in common.

        Raises:
            FloatingPointError: if a feature is not finite, or a step of a path.
        """
        values = self._scores(model, network, fresh)
        values |= self.paths.measure(model, network, fresh)
        return {self.settings.quantity(name): values[name] for name in self.settings.metrics}

    def _scores(self, model: GAN, network: nn.Module, fresh: int) -> dict[str, float]:
        if not self._metrics:
            return {}
        size, kwargs = self.settings.batch_size, self.settings.sample_kwargs
        latents = self.latents(model, _PURPOSE, self.settings.fake_images, fresh)
        evaluation = self._evaluation(dealt(len(latents), size))

        def look() -> None:
            for images in self.share(model, network, latents, size, kwargs, fresh):
                evaluation.update(upscale_to(to_uint8(images), self.scale))

        everywhere(look)
        return dict(zip(self._metrics, evaluation.compute().values(), strict=True))

    @property
    def _metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.settings.metrics if name not in PATH_METRICS)

    def _evaluation(self, shares: Sequence[range] | None = None) -> Evaluation:
        return Evaluation(
            self._metrics,
            reference=self.reference,
            extractor=self.extractor,
            kid_subsets=self.settings.kid_subsets,
            kid_subset_size=self.settings.kid_subset_size,
            shares=shares,
        )

    @torch.no_grad()
    def samples(self, model: GAN, count: int) -> dict[str, NDArray[np.uint8]]:
        """Return ``count`` images uint8 NHWC of each arm, of the final size, from equal latents."""
        latents = self.latents(model, "sample latents", count)
        kwargs = self.settings.sample_kwargs
        drawn = {
            arm: model.draw(model.networks()[name], latents, kwargs)
            for arm, name in self.arms.items()
        }
        return {
            arm: upscale_to(to_uint8(images), self.scale).permute(0, 2, 3, 1).cpu().numpy()
            for arm, images in drawn.items()
        }
