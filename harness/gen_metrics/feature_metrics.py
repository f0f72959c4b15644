"""Metrics in an extractor's feature space: FID, IS, KID, precision and recall."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.device import get_device
from torch import Tensor

from harness.errors import SpecError
from harness.gen_metrics.base import GenerativeMetric, Shape
from harness.gen_metrics.extractors import shared_extractor
from harness.gen_metrics.real import RealSet
from harness.metrics.extractor import Features
from harness.metrics.fid import Statistics, covariance_root, frechet_distance, statistics_of
from harness.metrics.inception_score import inception_score
from harness.metrics.kid import kid
from harness.metrics.precision_recall import precision_recall
from harness.registry import METRICS

INCEPTION = "inception-v3-compat"
_CACHE = Path("~/.cache/gan-harness/reference")


@dataclass(eq=False, kw_only=True)
class FeatureMetric(GenerativeMetric):
    """A metric of what an extractor sees.

    Results are named for the extractor, ``fid[digits-cnn]``. Where a config names none, it is
    MMagic's, the Inception network of the published numbers, and FID and IS stand under MMagic's
    name (``fid``) as well, which ``save_best`` may ask for.

    Args:
        extractor: ``inception-v3-compat`` or ``digits-cnn``.
        weights: file of its weights.
        weights_sha256: the digest the file must have.
        inception_style: only ``StyleGAN``: the network of 2015.
        inception_path: MMagic's word for ``weights``.
        inception_pkl: a file in the folder where features of the real images are kept, when there
            is no ``cache_dir``. The file itself, a pickle, is never read.
        cache_dir: that folder.

    Raises:
        SpecError: a name is unknown.
        WeightsError: the weights are missing or not the expected ones. Nothing is downloaded.
    """

    extractor: str | None = None
    weights: str | None = None
    weights_sha256: str | None = None
    inception_style: str = "StyleGAN"
    inception_path: str | None = None
    inception_pkl: str | None = None
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        if self.inception_style != "StyleGAN":
            raise SpecError(
                [
                    f"inception_style is {self.inception_style!r}: only StyleGAN, the network of "
                    "the published numbers, is here"
                ]
            )
        if "://" in (self.inception_pkl or ""):
            raise SpecError([f"inception_pkl is {self.inception_pkl}: give a local path"])
        weights = self.weights or self.inception_path
        self.shared = shared_extractor(
            self.extractor or INCEPTION,
            Path(weights) if weights else None,
            self.weights_sha256,
            get_device(),
        )
        super().__post_init__()

    def named(self, name: str, value: float, *, alias: bool = False) -> dict[str, float]:
        """Return a result under its full name, and MMagic's where that means the same."""
        both = {f"{name}[{self.shared.extractor.name}]": value}
        return both | ({name: value} if alias and self.extractor is None else {})

    def seen_in(self, images: Tensor) -> Features:
        """Return what the extractor sees in generated images."""
        return self.shared.look(images, self.shape)

    def look(self, images: Tensor, count: int) -> Tensor:
        """Return features, NF."""
        return self.seen_in(images).features[:count]

    def real_features(self, real: RealSet) -> Tensor:
        """Return the features of the real images, NF on the CPU."""
        folder = Path(self.inception_pkl).parent if self.inception_pkl else _CACHE.expanduser()
        folder = Path(self.cache_dir) if self.cache_dir else folder
        count = real.count(self.real_nums)
        return real.features(self.real_key, count, self.shared.extractor, folder).features

    def reset(self) -> None:
        """Forget the images seen."""
        super().reset()
        self.shared.forget()


@METRICS.register_module(name=["FrechetInceptionDistance", "FID", "FID-Full"])
@dataclass(eq=False, kw_only=True)
class FrechetInceptionDistance(FeatureMetric):
    """FID (arXiv 1706.08500): ``fid[EXTRACTOR]``, lower is better."""

    real_nums: int = -1

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self.named("fid", 0.0, alias=True))

    def learn(self, real: RealSet) -> Shape:
        """Keep the statistics of the real images."""
        self.real: Statistics = statistics_of(self.real_features(real))
        self.root = covariance_root(self.real.cov)
        return super().learn(real)

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the distance of all features, NF."""
        distance = frechet_distance(statistics_of(results), self.real, self.root)
        return self.named("fid", distance, alias=True)


@METRICS.register_module(name=["InceptionScore", "IS"])
@dataclass(eq=False, kw_only=True)
class InceptionScore(FeatureMetric):
    """Inception score (arXiv 1606.03498): ``is[EXTRACTOR]``, higher is better.

    Args:
        splits: parts of which the score is the mean; every image counts.
    """

    fake_nums: int = 50000
    splits: int = 10

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self.named("is", 0.0, alias=True))

    def look(self, images: Tensor, count: int) -> Tensor:
        """Return logits, NK."""
        return self.seen_in(images).logits[:count]

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the score of all logits, NK."""
        return self.named("is", inception_score(results, splits=self.splits), alias=True)


@METRICS.register_module(name=["KernelInceptionDistance", "KID"])
@dataclass(eq=False, kw_only=True)
class KernelInceptionDistance(FeatureMetric):
    """KID (arXiv 1801.01401): ``kid[EXTRACTOR]``, lower is better.

    Args:
        subsets: pairs of subsets of which it is the mean.
        subset_size: images in each.
    """

    real_nums: int = -1
    subsets: int = 100
    subset_size: int = 1000

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self.named("kid", 0.0))

    def learn(self, real: RealSet) -> Shape:
        """Keep the features of the real images."""
        self.real = self.real_features(real)
        return super().learn(real)

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return the distance of all features, NF."""
        value = kid(results, self.real, subsets=self.subsets, subset_size=self.subset_size)
        return self.named("kid", value)


@METRICS.register_module(name=["PrecisionAndRecall", "PR"])
@dataclass(eq=False, kw_only=True)
class PrecisionAndRecall(FeatureMetric):
    """Precision and recall (arXiv 1904.06991): shares in [0, 1], higher is better.

    The paper takes features of VGG16; here it is the extractor that the results are named for.

    Args:
        k: neighbours that decide the width of a manifold.
        row_batch_size: images compared at once with ...
        col_batch_size: ... this many; memory only.
    """

    real_nums: int = -1
    k: int = 3
    row_batch_size: int = 10000
    col_batch_size: int = 10000

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self.named("precision", 0.0) | self.named("recall", 0.0))

    def learn(self, real: RealSet) -> Shape:
        """Keep the features of the real images."""
        self.real = self.real_features(real)
        return super().learn(real)

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Return both shares of all features, NF."""
        rows, columns = self.row_batch_size, self.col_batch_size
        shares = precision_recall(results, self.real, k=self.k, rows=rows, columns=columns)
        return self.named("precision", shares.precision) | self.named("recall", shares.recall)
