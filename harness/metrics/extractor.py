"""What every feature extractor is, and what all of them need: checked weights, full precision."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from harness.errors import DataError, WeightsError
from harness.files import plain
from harness.records.protocols import Facts

MAX_BYTES = 2**31  # of a file of weights: 2 GiB


class Features(NamedTuple):
    """What an extractor sees in N images."""

    features: Tensor
    """NF float32, for Frechet and kernel distances."""
    logits: Tensor
    """NK float32, for the inception score."""


class Extractor(Protocol):
    """Turns images into features; the same image gives the same features in every session."""

    @property
    def name(self) -> str:
        """Part of each quantity's name, such as ``fid[digits-cnn]``."""

    @property
    def digest(self) -> str:
        """sha256 of the weights, in hexadecimal."""

    @property
    def device(self) -> torch.device:
        """Where images are looked at and features returned."""

    @property
    def num_features(self) -> int:
        """F."""

    @property
    def num_classes(self) -> int:
        """K."""

    @property
    def sight(self) -> Facts:
        """How an image becomes features, as a protocol states it: layer, channels, resize."""

    def __call__(self, images: Tensor) -> Features:
        """Look at images, uint8 N3HW in 0..255 on any device; without gradients."""


@runtime_checkable
class LocalExtractor(Extractor, Protocol):
    """An extractor that also sees each part of an image by itself."""

    @property
    def num_local_features(self) -> int:
        """F of ``local``."""

    @property
    def local_sight(self) -> Facts:
        """As ``sight``, of ``local``."""

    def local(self, images: Tensor) -> Tensor:
        """Look at images, uint8 N3HW on any device, at their own size.

        Returns:
            NPF float32: the features at each of P positions, row by row.
        """


def positions(maps: Tensor) -> Tensor:
    """Turn feature maps NFHW into one row a position: NPF, P = H * W."""
    return maps.flatten(2).transpose(1, 2)


def require_size(images: Tensor, side: int, what: str) -> None:
    """Raise DataError unless images NCHW are at least ``side`` px high and wide."""
    height, width = images.shape[-2:]
    if min(height, width) < side:
        raise DataError(
            f"{what} sees images of at least {side} x {side} px, got {width} x {height}: "
            "take a larger image"
        )


def require_rgb(images: Tensor) -> None:
    """Raise DataError unless images are uint8 N3HW."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(
            f"metrics take uint8 images of shape (N, 3, H, W), got {images.dtype} "
            f"{tuple(images.shape)}: convert with to_uint8 and repeat grey to 3 channels"
        )


def read_weights(path: Path, sha256: str, *, what: str) -> bytes:
    """Read a weights file and check it.

    Args:
        path: the file.
        sha256: the digest it must have, in hexadecimal.
        what: what the file is and how to get it, for the message.

    Raises:
        WeightsError: the file is missing, unreadable or another one.
    """
    try:
        content = plain.read(path, MAX_BYTES)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsError(f"cannot read weights {path} ({reason}): {what}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise WeightsError(f"weights {path} have sha256 {found}, expected {sha256}: {what}")
    return content


ARITHMETIC = "float32, TF32 off"
"""What ``full_precision`` sees to, for a protocol."""


def identity(extractor: Extractor) -> Facts:
    """Return which extractor it is, for a protocol."""
    return {
        "extractor": extractor.name,
        "extractor_sha256": extractor.digest,
        "extractor_arithmetic": ARITHMETIC,
    }


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 as float32: CUDA's TF32 would move features from one GPU to the next."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
