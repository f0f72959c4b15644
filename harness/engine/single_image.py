"""Evaluation of every arm of a model of one image: the same latents for each.

Shape letters: N images, H W pixels.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data import digest
from harness.data.prepare import Prepared
from harness.engine.arms import Evaluator
from harness.errors import Diverged
from harness.gans.base import GAN
from harness.images import ROUNDING, to_uint8
from harness.metrics.diversity import FORM as DIVERSITY
from harness.metrics.diversity import Diversity, Sums
from harness.metrics.extractor import identity
from harness.metrics.features import load_local_extractor
from harness.metrics.sifid import FORM as SIFID
from harness.metrics.sifid import SPREAD, LocalReference, sifid, spread
from harness.ranks.answers import combined
from harness.ranks.dealt import portable
from harness.records.protocols import Facts
from harness.seeding import stated
from harness.spec.schema import Evaluate

_T = TypeVar("_T")
_PURPOSE = "evaluation latents"
_PIXELS = 2**20
"""Drawn at once at most: a batch of images of 250 px takes about half a GiB in the networks."""


class SingleImageEvaluator(Evaluator):
    """Measures each arm of a GAN against the one real image, by SIFID and diversity.

    Images of a scale below the final one are enlarged to it (bicubic) first, so that a metric means
    the same throughout a run.

    Args:
        settings: what is measured, on how many images.
        real: the real image.
        arms: each arm's name and the name of its network in ``model.networks()``.
        seed: the run's; latents are a function of it and the images shown.
        device: where networks and extractor compute.

    Raises:
        SpecError: the extractor sees whole images only.
        WeightsError: its weights are missing.
        DataError: the image is too small for it, or of one intensity.
    """

    def __init__(
        self,
        settings: Evaluate,
        real: Prepared,
        arms: Mapping[str, str],
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__(settings, arms, seed, device)
        spec = settings.extractor_spec
        self.extractor = load_local_extractor(
            spec.type,
            weights=None if spec.weights is None else Path(spec.weights),
            weights_sha256=spec.weights_sha256,
            device=device,
        )
        self.real = torch.from_numpy(np.array(real.scales[max(real.scales)])).to(device)
        self.real_facts = real.facts
        self.reference = LocalReference.of(self.extractor.local(self.real)[0])
        Diversity(self.real)  # refuses what it cannot be a share of, before training

    def facts(self) -> dict[str, Facts]:
        """Return how each quantity is measured, by its name, the model left aside."""
        seen = {**identity(self.extractor), **self.extractor.local_sight}
        names = ("sifid", "sifid_low", "sifid_high")
        found: dict[str, Facts] = {
            name: {"metric": "sifid", "form": SIFID, "over_samples": over, **seen, **self._images}
            for name, over in zip(names, SPREAD, strict=True)
        }
        found["diversity"] = {"metric": "diversity", "form": DIVERSITY, **self._images}
        return self._asked(found)

    @property
    def _images(self) -> Facts:
        height, width = self.real.shape[-2:]
        return {
            "real_images": 1,
            "real_px": f"{height} x {width}",
            "real_sha256": digest(self.real.cpu().numpy()),
            **self.real_facts,
            "fake_images": self.settings.fake_images,
            "px": f"{height} x {width}",
            "upscale": ENLARGED,
            "rounding": ROUNDING,
            "truncation": 1,
            "draws": stated(_PURPOSE),
        }

    def real_values(self) -> dict[str, float]:
        """Return nothing: against itself the real image scores 0, whatever it shows."""
        return {}

    def scores(self, model: GAN, network: nn.Module, fresh: int = 0) -> dict[str, float]:
        """Return every metric of one network, on the latents that all arms have in common.

        Raises:
            FloatingPointError: if a feature is not finite.
        """
        return combined(partial(self._part, model, network, fresh), self._values)

    def _part(self, model: GAN, network: nn.Module, fresh: int) -> tuple[list[float], Sums]:
        """Return what this process's samples score, and their sums, which may be sent."""
        scores: list[float] = []
        diversity = Diversity(self.real)
        latents = self.latents(model, _PURPOSE, self.settings.fake_images, fresh)
        for drawn in self.share(model, network, latents, self._at_once, fresh=fresh):
            images = self._finished(drawn)
            diversity.update(images)
            scores += [sifid(f, self.reference) for f in self.extractor.local(images)]
        count, total, squares = diversity.sums
        return scores, Sums(count, *(portable([each])[0] for each in (total, squares)))

    def _values(self, parts: list[tuple[list[float], Sums]]) -> dict[str, float]:
        diversity = Diversity(self.real)
        for _, sums in parts:
            diversity.add(sums)
        found = spread([score for scores, _ in parts for score in scores])
        values = {"sifid": found.median, "sifid_low": found.low, "sifid_high": found.high}
        if "diversity" in self.settings.metrics:
            values["diversity"] = diversity.compute()
        return self._asked(values)

    @torch.no_grad()
    def samples(self, model: GAN, count: int) -> dict[str, NDArray[np.uint8]]:
        """Return ``count`` images uint8 NHW3 of each arm, from the same latents."""
        latents = self.latents(model, "sample latents", count)
        networks = model.networks()
        samples = {}
        for arm, name in self.arms.items():
            parts = [self.drawn(model, networks[name], z) for z in latents.split(self._at_once)]
            images = torch.cat([self._finished(part) for part in parts])
            samples[arm] = images.permute(0, 2, 3, 1).cpu().numpy()
        if not self.finite_here():
            raise Diverged(0, "a generated image")
        return samples

    @property
    def _at_once(self) -> int:
        return max(1, min(self.settings.batch_size, _PIXELS // self.real.shape[-2:].numel()))

    def _finished(self, images: Tensor) -> Tensor:
        """Return images as they are drawn as uint8 N3HW of the real image's size."""
        return to_uint8(enlarged(images, self.real.shape[-2:]))

    def _asked(self, values: Mapping[str, _T]) -> dict[str, _T]:
        """Name SIFID's values by the extractor, and leave out what was not asked for."""
        wanted, name = set(self.settings.metrics), self.extractor.name
        return {
            f"{quantity}[{name}]" if quantity.startswith("sifid") else quantity: value
            for quantity, value in values.items()
            if quantity.partition("_")[0] in wanted
        }


ENLARGED = "bicubic, pixel centres at halves"
"""What ``enlarged`` does, for a protocol."""


def enlarged(images: Tensor, size: torch.Size) -> Tensor:
    """Return float images NCHW at another size in px, (H, W): bicubic, pixel centres at halves."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bicubic", align_corners=False)
