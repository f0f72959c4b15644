"""Real images: where they come from, every scale of them, and the order they are shown in.

The values that pass between the modules of this package stand here; none of them needs torch.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.errors import SpecError

Pixels = NDArray[np.uint8]
SourceType = Literal["digits", "cifar10", "image_folder", "zip"]
Crop = Literal["none", "center"]
Broken = Literal["refuse", "skip"]

MAX_RESOLUTION = 4096
"""Largest side in px: sums of 4096**2 values of 8 bits, and half a step, still fit 32 bits."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Which images, and how they are brought to one square shape.

    Args:
        type: a name of ``SourceType``.
        root: folder, archive, or torchvision's root of CIFAR-10; digits have none.
        resolution: side in px, a power of two up to ``MAX_RESOLUTION``; larger images are
            area-averaged down to it.
        crop: ``center`` cuts out the central square, ``none`` refuses images that are not square.
        broken: ``refuse`` a set with unreadable images, or ``skip`` them.
        max_images: use only this many of the sorted names, counted before any is skipped.

    Raises:
        SpecError: a value is not allowed; holds every problem.
    """

    type: SourceType
    root: Path | None = None
    resolution: int
    crop: Crop = "none"
    broken: Broken = "refuse"
    max_images: int | None = None

    def __post_init__(self) -> None:
        problems = [
            f"data.{field}: got {value!r}, allowed are {', '.join(get_args(allowed))}"
            for field, value, allowed in (
                ("type", self.type, SourceType),
                ("crop", self.crop, Crop),
                ("broken", self.broken, Broken),
            )
            if value not in get_args(allowed)
        ]
        if self.type in ("image_folder", "zip") and self.root is None:
            problems.append(f"data.root: missing; {self.type} needs the path of its images")
        if self.type == "digits" and self.root is not None:
            problems.append("data.root: digits come with scikit-learn; remove root")
        if not is_power_of_two(self.resolution) or self.resolution > MAX_RESOLUTION:
            problems.append(
                f"data.resolution: got {self.resolution}, must be a power of two "
                f"from 1 to {MAX_RESOLUTION}"
            )
        if self.max_images is not None and self.max_images < 1:
            problems.append(f"data.max_images: got {self.max_images}, must be at least 1")
        if problems:
            raise SpecError(problems)


@dataclass(frozen=True)
class Images:
    """A whole set.

    Args:
        name: what the set is called in tables.
        pixels: uint8 N3HW.
        digest: sha256 over pixels and shape, see ``digest``.
        skipped: names of the broken images left out.
    """

    name: str
    pixels: Pixels
    digest: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """What a source holds, before anything is decoded.

    Args:
        name: what the set is called in tables.
        names: one per image, sorted where they are paths.
        read: name to encoded bytes; raises BrokenImageError, or DataError for an unreadable file.
        decode: encoded bytes to an RGB image; raises BrokenImageError.
        files: whose bytes these are, if any; no image changes without one of them.
    """

    name: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    decode: Callable[[bytes], Image.Image]
    files: Sequence[str | Path] = ()


class BrokenImageError(Exception):
    """The bytes are no readable image; becomes a DataError or a skipped name."""


class UnfitImageError(Exception):
    """A readable image of the wrong shape; becomes a DataError."""


def is_power_of_two(number: int) -> bool:
    """Tell whether a side length can be a scale of a growing network."""
    return number >= 1 and number & (number - 1) == 0


def digest(pixels: Pixels) -> str:
    """Hash the bytes of N3HW in C order and then the shape: the identity of a decoded set."""
    return sealed(hashlib.sha256(np.ascontiguousarray(pixels).data), pixels.shape)


def sealed(pixels: "hashlib._Hash", shape: Sequence[int]) -> str:
    """End a running hash of pixels with their shape."""
    pixels.update("x".join(map(str, shape)).encode())
    return pixels.hexdigest()
