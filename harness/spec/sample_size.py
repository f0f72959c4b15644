"""Sets of images that are too small for a Fréchet distance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.spec.schema import Spec
from harness.spec.vocabulary import FEATURES, NATIVE_IMAGES


@dataclass(frozen=True, slots=True)
class TooFew:
    """A set of images that leaves the covariance of its features singular.

    Args:
        which: the generated images, or the real ones.
        images: how many there are, at most.
        features: how many numbers the extractor makes of each.
        extractor: its name.
    """

    which: Literal["generated", "real"]
    images: int
    features: int
    extractor: str

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do."""
        cure = "raise evaluate.fake_images" if self.which == "generated" else "add images"
        return (
            f"FID of {self.images} {self.which} images, which is not more than the "
            f"{self.features} features of {self.extractor}: their covariance is singular and FID "
            f"is far off; {cure}, or read KID, which needs no covariance."
        )


def too_few(spec: Spec, real_images: int | None = None) -> tuple[TooFew, ...]:
    """Return which sets of images have no more images than features, where FID is measured.

    Args:
        spec: the question, or one level of it.
        real_images: how many real images there are; None for what the spec says of them, which
            for a folder is at most ``data.max_images``.
    """
    return tuple(_too_few(spec, real_images)) if "fid" in spec.evaluate.metrics else ()


def _too_few(spec: Spec, real_images: int | None) -> Iterator[TooFew]:
    name = spec.evaluate.extractor_spec.type
    known = [real_images] if real_images is not None else _stated(spec)
    fake_images, features = spec.evaluate.fake_images, FEATURES[name]
    if fake_images <= features:
        yield TooFew("generated", fake_images, features, name)
    if known and min(known) <= features:
        yield TooFew("real", min(known), features, name)


def _stated(spec: Spec) -> list[int]:
    counts = [NATIVE_IMAGES.get(spec.data.type), spec.data.max_images]
    return [count for count in counts if count is not None]
