"""What a spec measures: extractors, metrics, how often and on how many images."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.ranges import Count, Images, Kimg, Share
from harness.spec.sections import Section, Sparse
from harness.spec.vocabulary import EXTRACTED_METRICS, PATH_METRICS


class Extractor(Section):
    """Network whose features a metric is measured on."""

    type: Literal["digits-cnn", "inception-v3-compat", "random-conv-64"]
    """A network that ships with the harness, or Inception, whose file you bring."""
    weights: str | None = None
    """Inception's file; null: the one in the cache's ``weights`` folder."""
    weights_sha256: str | None = None
    """What that file has to be; null: torch-fidelity's."""


MetricName = Literal[
    "fid",
    "fid_inf",
    "is",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "swd",
    "ms_ssim",
    "ppl_z",
    "ppl_w",
    "sifid",
    "diversity",
]


class Lpips(Section):
    """LPIPS of VGG16 (arXiv 1801.03924), of two files that the user has."""

    type: Literal["lpips-vgg16"] = "lpips-vgg16"
    """The one perceptual distance there is."""
    weights: str
    """torch-fidelity's weights-vgg16-lpips.pth."""
    vgg16_weights: str
    """torchvision's vgg16-397923af.pth."""


class Evaluate(Sparse):
    """What is measured, how often, on how many images."""

    every_kimg: Kimg
    """Thousands of images between two evaluations; there is one at the end, too."""
    first_kimg: Kimg | None = None
    """Thousands of images before an evaluation ahead of the regular ones; null: there is none."""
    extractor: Literal["digits-cnn", "inception-v3-compat", "random-conv-64"] | Extractor
    """Whose features are compared: a type's name, or its settings."""
    fake_images: Images
    """Generated images that each arm is judged by."""
    fresh: Count | None = None
    """Further sets of latents that arms are measured on: all of them at the end, the first one at
    each new best before; null: none."""
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)]
    """In the report's order; the first is the one that the answer speaks of."""
    kid_subsets: Count = 100
    """Pairs of subsets that KID is the mean over."""
    kid_subset_size: Images = 1000
    """Images in each of them."""
    batch_size: Images = 500
    """Images drawn at once; changes no number but path lengths, whose protocol states it."""
    truncation: Share | None = None
    """Style codes are drawn to their mean, to this share of the way; null: not at all."""
    ppl_pairs: Count | None = None
    """Steps that a path length is the mean of, two images each; null: 1000."""
    lpips: Lpips | None = None
    """Perceptual distance of path lengths; null: that of the extractor's features."""
    reference: str | None = None
    """Statistics that FID is measured against, a file; null: those of the data's own images."""

    @property
    def pairs(self) -> int:
        """Steps that a path length is the mean of."""
        return self.ppl_pairs or 1000

    @property
    def sample_kwargs(self) -> dict[str, float]:
        """What a generator is asked for beside its latents, but for path lengths."""
        return {} if self.truncation in {None, 1.0} else {"truncation": self.truncation or 0.0}

    def quantity(self, metric: str) -> str:
        """Return a metric's full name: ``fid[digits-cnn]``, or ``swd`` where nothing is to be said.

        In brackets stand what looks at the images and, where codes are truncated, how far. Path
        lengths are named for their distance, and are of untruncated codes.
        """
        eyes = self.extractor_spec.type
        if metric in PATH_METRICS:
            return f"{metric}[{self.lpips.type if self.lpips else eyes}]"
        said: list[str] = [eyes] if metric in EXTRACTED_METRICS else []
        said += [f"{name}={value:g}" for name, value in self.sample_kwargs.items()]
        return f"{metric}[{';'.join(said)}]" if said else metric

    @property
    def extractor_spec(self) -> Extractor:
        """The extractor with its options, however it was written."""
        if isinstance(self.extractor, Extractor):
            return self.extractor
        return Extractor(type=self.extractor)
