"""One extractor for all metrics that name it, and each batch looked at once."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import DataError
from harness.images import to_uint8
from harness.metrics.features import Extractor, Features, load_extractor, upscale_to


class SharedExtractor:
    """An extractor that remembers its last batch for the next metric.

    Args:
        extractor: what looks.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._last: tuple[Tensor, tuple[int, ...], Features] | None = None

    def look(self, images: Tensor, shape: tuple[int, ...]) -> Features:
        """Look at images as ``as_bytes`` makes them of the same arguments."""
        if self._last is None or self._last[0] is not images or self._last[1] != shape:
            seen = self.extractor(as_bytes(images, shape))
            self._last = images, shape, Features(*(column.cpu() for column in seen))
        return self._last[2]

    def forget(self) -> None:
        """Let go of the last batch."""
        self._last = None


@cache
def shared_extractor(
    name: str, weights: Path | None, weights_sha256: str | None, device: str
) -> SharedExtractor:
    """Load an extractor, or return the one that was loaded with the same arguments.

    Raises:
        HarnessError: as ``load_extractor``.
    """
    extractor = load_extractor(name, weights=weights, weights_sha256=weights_sha256, device=device)
    return SharedExtractor(extractor)


def as_bytes(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Turn generated images into uint8 of the real images' size.

    Images of a growing network below its final scale are enlarged by repeating pixels.

    Args:
        images: N3HW, float in [-1, 1] or uint8.
        shape: (C, H, W) of the real images.

    Raises:
        DataError: images are not finite, or of no size that repeats to the real one.
    """
    return enlarged(images if images.dtype == torch.uint8 else to_uint8(finite(images)), shape)


def finite(images: Tensor) -> Tensor:
    """Return images as they are.

    Raises:
        DataError: one is not finite.
    """
    if not bool(images.isfinite().all()):
        raise DataError("generated images hold NaN or infinite values: training has diverged")
    return images


def enlarged(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Repeat the pixels of images NCHW of any type up to (C, H, W).

    Raises:
        DataError: pixels cannot be repeated to that size.
    """
    if tuple(images.shape[1:]) == shape:
        return images
    if shape[1] != shape[2]:
        raise DataError(f"generated images are {tuple(images.shape[1:])}, real ones {shape}")
    return upscale_to(images, shape[1])
