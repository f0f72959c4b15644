"""A small untrained extractor of local features: labelled, cheap, and the same for ever.

Three convolutions with fixed random weights. Random filters tell textures apart (arXiv 1606.00021),
which is what a single image's patches are. Its numbers are honest within this harness and mean
nothing beside Inception's. Shape letters: N images, P positions, F features.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import SpecError
from harness.metrics.extractor import (
    Features,
    full_precision,
    positions,
    require_rgb,
    require_size,
)
from harness.records.protocols import Facts

NAME = "random-conv-64"
SHA256 = "aa063c60714f4689bd12edd7cee7829dc9f157fd139e2301e8a5014a49027797"
"""What ``digest`` gives wherever numpy draws the kernels as it has to."""
RECEPTIVE_FIELD_PX = 17
"""Side of the square of pixels that a local feature sees; neighbours are 4 px apart."""

_SEED = 1905_01164
_LAYERS = ((3, 32, 5, 2), (32, 64, 3, 2), (64, 64, 3, 1))
"""Channels in and out, side of the kernel and stride, both in px."""


def weights() -> tuple[Tensor, ...]:
    """Return the kernels, float32 OIKK, made by numpy's Philox from a pinned seed.

    Raw words are used, since numpy keeps those for ever, and whole numbers until the end. Uniform
    with He's variance; all but a quarter of the first layer's filters have no mean, so that they
    see texture and not brightness.
    """
    words = np.random.Philox(_SEED)
    kernels = []
    for inputs, outputs, side, _ in _LAYERS:
        shape = (outputs, inputs, side, side)
        drawn = (words.random_raw(math.prod(shape)) >> np.uint64(40)).astype(np.int64) - 2**23
        kernel = drawn.reshape(shape) * side**2
        if inputs == 3:
            textures = kernel[outputs // 4 :]
            textures -= textures.sum((2, 3), keepdims=True) // side**2
        bound = math.sqrt(6 / (inputs * side**2))
        kernels.append(torch.from_numpy((kernel * (bound / (2**23 * side**2))).astype(np.float32)))
    return tuple(kernels)


def digest(kernels: Sequence[Tensor]) -> str:
    """Return the sha256 of kernels, float32 OIKK, in hexadecimal."""
    sums = hashlib.sha256()
    for kernel in kernels:
        sums.update(kernel.numpy().tobytes())
    return sums.hexdigest()


class RandomConvExtractor:
    """F = 64 features of 17 x 17 px each; an image's features are their mean.

    Args:
        weights_path: must be None; there is no file.
        weights_sha256: must be None.
        device: where to compute.

    Raises:
        SpecError: weights were named.
    """

    name = NAME
    num_features = 64
    num_classes = 0
    num_local_features = 64
    local_sight: Facts = MappingProxyType(
        {
            "layer": "third convolution, after ReLU; a position every 4 px, 17 x 17 px each",
            "features": 64,
            "channels": "R, G and B, / 127.5 - 1",
            "resize": "none",
        }
    )
    sight: Facts = MappingProxyType({**local_sight, "pooling": "mean over positions"})

    def __init__(
        self, weights_path: Path | None, weights_sha256: str | None, device: torch.device
    ) -> None:
        if weights_path is not None or weights_sha256 is not None:
            raise SpecError([f"evaluate.extractor: {NAME} is untrained and takes no weights"])
        kernels = weights()
        self.digest = digest(kernels)
        self.device = device
        self._kernels = [kernel.to(device) for kernel in kernels]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Look at uint8 N3HW images of at least 17 x 17 px; there are no classes."""
        features = self.local(images).mean(dim=1)
        return Features(features, features.new_empty(len(features), 0))

    @torch.inference_mode()
    def local(self, images: Tensor) -> Tensor:
        """Return the features NPF of uint8 N3HW images, a position every 4 px; no padding.

        Raises:
            DataError: images are of another type, or below 17 x 17 px.
        """
        require_rgb(images)
        require_size(images, RECEPTIVE_FIELD_PX, NAME)
        maps = images.to(self.device).float() / 127.5 - 1
        with full_precision():
            for kernel, (*_, stride) in zip(self._kernels, _LAYERS, strict=True):
                maps = F.relu(F.conv2d(maps, kernel, stride=stride))
        return positions(maps)
