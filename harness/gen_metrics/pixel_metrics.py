"""Metrics of the pixels themselves: sliced Wasserstein distance and structural similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import DataError
from harness.gen_metrics.base import GenerativeMetric, Shape
from harness.gen_metrics.real import RealSet
from harness.metrics.ms_ssim import consecutive_pairs, ms_ssim
from harness.metrics.swd import PATCHES_PER_IMAGE, level_sizes, patches_at, places, swd
from harness.registry import METRICS
from harness.seeding import generator


@METRICS.register_module(name=["SlicedWassersteinDistance", "SWD"])
@dataclass(eq=False, kw_only=True)
class SlicedWassersteinDistance(GenerativeMetric):
    """SWD x 1e3 (arXiv 1710.10196, section 5): each level by its height in pixels, and ``avg``.

    ``fake_nums`` generated images are compared with as many real ones, the first of the data set.

    Args:
        image_shape: (C, H, W) that the real images must have; by default any.
    """

    image_shape: Sequence[int] | None = None
    default_prefix = "swd"

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return ("avg",)

    def learn(self, real: RealSet) -> Shape:
        """Keep the patches of the real images."""
        shape = super().learn(real)
        if self.image_shape is not None and tuple(self.image_shape) != shape:
            raise DataError(f"SWD: real images are {shape}, image_shape is {self.image_shape}")
        draws = generator(self.seed, "real patches")
        images = torch.cat(list(real.batches(self.real_key, real.count(self.fake_nums))))
        self.real = _rows(images, places(len(images), len(level_sizes(*shape[1:])), draws))
        return shape

    def reset(self) -> None:
        """Forget the images seen; draw the next ones' patches at the same places."""
        super().reset()
        self._draws = generator(self.seed, "fake patches 0")
        self._drawn = 0

    def look(self, images: Tensor, count: int) -> Tensor:
        """Return the patches, N L 128 (C * 49)."""
        own = self.own[self.seen : self.seen + count]
        levels = len(level_sizes(*self.shape[1:]))
        drawn = places(own[-1] + 1 - self._drawn, levels, self._draws)  # other processes', too
        chosen = drawn[[index - self._drawn for index in own]]
        self._drawn = own[-1] + 1
        return _rows(self.bytes_of(images[:count]), chosen).cpu()

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the distances of all patches."""
        sides = [str(height) for height, _ in level_sizes(*self.shape[1:])]
        fake, real = (list(rows.transpose(0, 1).flatten(1, 2)) for rows in (results, self.real))
        levels = swd(fake, real, generator(self.seed, "swd directions"))
        return dict(zip(sides, levels, strict=True)) | {"avg": sum(levels) / len(levels)}


def _rows(images: Tensor, chosen: Tensor) -> Tensor:
    levels = patches_at(images, chosen)
    return torch.stack([level.unflatten(0, (-1, PATCHES_PER_IMAGE)) for level in levels], dim=1)


@METRICS.register_module(name=["MultiScaleStructureSimilarity", "MS_SSIM"])
@dataclass(eq=False, kw_only=True)
class MultiScaleStructureSimilarity(GenerativeMetric):
    """Mean MS-SSIM of pairs of generated images, ``avg`` in [0, 1]; lower is more varied.

    Pairs are of images that follow one another, over the borders of batches; a last one without a
    partner is left out.
    """

    default_prefix = "ms-ssim"
    rows_of_two = 1

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return ("avg",)

    def reset(self) -> None:
        """Forget the images seen."""
        super().reset()
        self._single: Tensor | None = None

    def look(self, images: Tensor, count: int) -> Tensor:
        """Return the similarity of each pair, N."""
        images = images[:count]
        if self._single is not None:
            images = torch.cat([self._single, images])
        self._single = images[-1:] if len(images) % 2 else None
        if len(images) == 1:
            return torch.empty(0, dtype=torch.float64)
        return ms_ssim(*consecutive_pairs(self.bytes_of(images))).cpu()

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the mean over all pairs."""
        if len(results) == 0:
            raise DataError("MS_SSIM: fake_nums is 1, a pair needs 2: raise it")
        return {"avg": float(results.mean())}
