"""The border between images and metrics: sizes, and the choice of extractor."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import DataError, SpecError
from harness.metrics.extractor import Extractor, Features, LocalExtractor

__all__ = [
    "EXTRACTORS",
    "UPSCALE",
    "Extractor",
    "Features",
    "load_extractor",
    "load_local_extractor",
    "upscale_to",
]


UPSCALE = "pixels repeated"
"""What ``upscale_to`` does with smaller images, for a protocol."""


def upscale_to(images: Tensor, size: int) -> Tensor:
    """Repeat the pixels of NCHW images of any type up to size x size.

    Raises:
        DataError: size is not a whole multiple of both sides.
    """
    height, width = images.shape[-2:]
    if size % height or size % width:
        raise DataError(
            f"images of {height}x{width} cannot be repeated to {size}x{size}: "
            "the size must be a whole multiple of each side"
        )
    if (height, width) == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="nearest")


def _digits_cnn(weights: Path | None, sha256: str | None, device: torch.device) -> Extractor:
    from harness.metrics.digits_cnn import DigitsExtractor

    return DigitsExtractor(weights, sha256, device)


def _inception(weights: Path | None, sha256: str | None, device: torch.device) -> Extractor:
    # Imported when asked for: torch-fidelity takes seconds to import.
    from harness.metrics.inception import InceptionExtractor

    return InceptionExtractor(weights, sha256, device)


def _random_conv(weights: Path | None, sha256: str | None, device: torch.device) -> Extractor:
    from harness.metrics.random_conv import RandomConvExtractor

    return RandomConvExtractor(weights, sha256, device)


_LOADERS: dict[str, Callable[[Path | None, str | None, torch.device], Extractor]] = {
    "digits-cnn": _digits_cnn,
    "inception-v3-compat": _inception,
    "random-conv-64": _random_conv,
}

EXTRACTORS = tuple(_LOADERS)
"""Names that ``load_extractor`` knows."""


def load_extractor(
    name: str,
    *,
    weights: Path | None = None,
    weights_sha256: str | None = None,
    device: torch.device | str = "cpu",
) -> Extractor:
    """Load a feature extractor, ready to call.

    Args:
        name: one of ``EXTRACTORS``. ``digits-cnn`` ships with its weights and reads 8x8 digits;
            ``inception-v3-compat`` gives the published FID and needs a file from the user;
            ``random-conv-64`` is untrained, and sees parts of an image.
        weights: a weights file, in place of the usual one.
        weights_sha256: the digest the file must have, in place of the pinned one.
        device: where to compute.

    Raises:
        SpecError: the name is unknown.
        WeightsError: weights are missing or not the expected ones. Nothing is ever downloaded.
    """
    if name not in _LOADERS:
        raise SpecError([f"unknown extractor '{name}': use one of {', '.join(EXTRACTORS)}"])
    return _LOADERS[name](weights, weights_sha256, torch.device(device))


def load_local_extractor(
    name: str,
    *,
    weights: Path | None = None,
    weights_sha256: str | None = None,
    device: torch.device | str = "cpu",
) -> LocalExtractor:
    """Load an extractor that sees each part of an image; as ``load_extractor`` otherwise.

    Raises:
        SpecError: the name is unknown, or that extractor sees images as a whole only.
        WeightsError: weights are missing or not the expected ones.
    """
    extractor = load_extractor(name, weights=weights, weights_sha256=weights_sha256, device=device)
    if isinstance(extractor, LocalExtractor):
        return extractor
    known = "random-conv-64, inception-v3-compat"
    raise SpecError([f"extractor '{name}' sees whole images only: for sifid use one of {known}"])
