"""PerceptualPathLength: how smooth the way between images is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any, Literal

from mmengine.device import get_device
from torch import Tensor, nn
from torch.utils.data import DataLoader

from harness.errors import SpecError
from harness.gen_metrics.base import GenerativeMetric
from harness.gen_metrics.batches import Path, PathBatches, Request
from harness.gen_metrics.extractors import enlarged, finite
from harness.images import to_float
from harness.metrics.path_length import Space, crop_and_shrink, mean_path_length
from harness.metrics.perceptual import LPIPS, load_distance
from harness.registry import METRICS


@METRICS.register_module(name=["PerceptualPathLength", "PPL"])
@dataclass(eq=False, kw_only=True)
class PerceptualPathLength(GenerativeMetric):
    """PPL (arXiv 1812.04948, equations 2 and 3): ``ppl_score[DISTANCE]``, lower is smoother.

    Args:
        fake_nums: pairs of images.
        crop: judge the middle of an image, as the paper does with faces.
        epsilon: length of a step, as a share of the way between two latents.
        space: ``W``, codes of the mapping network, or ``Z``.
        sampling: ``full``: steps anywhere on the way; ``end``: at its beginning.
        latent_dim: Z; by default the model's noise_size.
        extractor: perceptual distance: ``lpips-vgg16`` or ``digits-cnn``.
        weights: file of its weights, see ``harness.metrics.perceptual.load_distance``.
        vgg16_weights: likewise.

    Raises:
        SpecError: a setting is none of the above.
        WeightsError: a file is missing. Nothing is downloaded.
    """

    crop: bool = True
    epsilon: float = 1e-4
    space: Space = "W"
    sampling: Literal["end", "full"] = "end"
    latent_dim: int | None = None
    extractor: str = LPIPS
    weights: str | None = None
    vgg16_weights: str | None = None
    images_each = 2
    rows_of_two = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = [
            f"PPL: {name} is {value!r}: give one of {', '.join(known)}"
            for name, value, known in (
                ("space", self.space, ("W", "Z")),
                ("sampling", self.sampling, ("end", "full")),
            )
            if value not in known
        ]
        if self.epsilon <= 0:
            problems.append(f"PPL: epsilon is {self.epsilon}: give more than 0")
        if problems:
            raise SpecError(problems)
        weights, vgg16 = (File(p) if p else None for p in (self.weights, self.vgg16_weights))
        self.distance = load_distance(
            self.extractor, weights=weights, vgg16_weights=vgg16, device=get_device()
        )

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return (f"ppl_score[{self.distance.name}]",)

    @property
    def path(self) -> Path:
        """Where the pairs lie."""
        return Path(
            space=self.space,
            sampling=self.sampling,
            epsilon=self.epsilon,
            latent_dim=self.latent_dim,
        )

    @property
    def request(self) -> Request:
        """All that decides which pairs are drawn for this metric, but their number."""
        return replace(super().request, path=self.path)

    def get_metric_sampler(
        self, model: nn.Module, dataloader: DataLoader[Any], metrics: Sequence[GenerativeMetric]
    ) -> Iterable[Any]:
        """Return the inputs for all of ``metrics``, whose requests equal this one's."""
        count = max(metric.fake_nums for metric in metrics)
        return PathBatches(model, dataloader, count, self.request, self.path)

    def look(self, images: Tensor, count: int) -> Tensor:
        """Return the distance of each pair, N."""
        images = images[:count] if images.is_floating_point() else to_float(images[:count])
        images = crop_and_shrink(enlarged(finite(images).float(), self.shape), self.crop)
        return self.distance(images[0::2], images[1::2]).cpu()

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the mean length over all pairs but the outermost."""
        return {self.result_names[0]: mean_path_length(results, self.epsilon)}
