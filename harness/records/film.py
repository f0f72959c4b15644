"""What a run keeps of its samples over training, and of the real images nearest to some of them.

::

    samples/film-000003500.npz    one evaluation: every arm's images, the same latents in all files
    samples/neighbours.npz        at the end: samples of one arm and their nearest real images

Images are uint8 NHWC. Shape letters: N images, k neighbours, H W pixels, C channels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import RecordsError
from harness.records.files import check_format
from harness.records.samples import read_arrays, write_arrays
from harness.records.types import FORMAT

Images = NDArray[np.uint8]

NEIGHBOURS = "samples/neighbours.npz"
_FORMAT, _KIMG = "_format", "_kimg"
"""No arm's name begins so."""


@dataclass(frozen=True)
class Frame:
    """Samples of every arm at one evaluation.

    Args:
        kimg: thousands of real images shown in training by then.
        arms: images of each arm, of one shape: as large as they were drawn, up to 256 px.
    """

    kimg: float
    arms: Mapping[str, Images]


@dataclass(frozen=True)
class Neighbours:
    """Samples of one arm at the end of training, and the real images nearest to each.

    Args:
        arm: whose samples they are.
        chosen_by: the quantity in which it was the run's best; empty where none has a direction.
        extractor: whose features distances are taken in.
        samples: NHWC, of the first latents of the run's frames.
        images: NkHWC, the real images nearest to each sample, the nearest first.
        indices: int64 Nk, which of the prepared real images they are.
        distances: float64 Nk, Euclidean.
        real_median: the median distance of real images to the nearest other one.
        real_count: how many real images that is the median of.
    """

    arm: str
    chosen_by: str
    extractor: str
    samples: Images
    images: Images
    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    real_median: float
    real_count: int


def reduced(images: Images, most_px: int) -> Images:
    """Average whole blocks of ...HWC until neither side is longer than ``most_px``."""
    *many, H, W, C = images.shape
    step = -(-max(H, W) // most_px)
    if step == 1:
        return images
    cut = images[..., : H // step * step, : W // step * step, :]
    blocks = cut.reshape(*many, H // step, step, W // step, step, C)
    means: Images = blocks.mean((-4, -2), np.float32).round().astype(np.uint8)
    return means


def write_frame(run_folder: Path, iteration: int, frame: Frame) -> None:
    """Write an evaluation's samples; those of an earlier attempt at it are replaced.

    Raises:
        OutputError: if the folder cannot be written.
    """
    told = {_FORMAT: np.array(FORMAT), _KIMG: np.array(frame.kimg)}
    write_arrays(run_folder / "samples" / f"film-{iteration:09d}.npz", {**told, **frame.arms})


def find(run_folder: Path) -> list[Path]:
    """Return the files of a run's frames in the order of training."""
    return sorted((run_folder / "samples").glob("film-*.npz"))


def read_frame(path: Path) -> Frame:
    """Read the samples of an evaluation.

    Raises:
        RecordsError: if it is missing, torn, of a newer format or not what runs write.
    """
    held = _held(path)
    kimg = _number(path, held.pop(_KIMG, None))
    shapes = {array.shape for array in held.values()}
    if len(shapes) != 1 or not all(map(are_images, held.values())):
        raise RecordsError(f"{path}: needs uint8 arrays of one shape NHWC with 1 or 3 channels")
    return Frame(kimg, held)


def write_neighbours(run_folder: Path, found: Neighbours) -> None:
    """Write the nearest real images of some samples.

    Raises:
        OutputError: if the folder cannot be written.
    """
    told = {name: np.asarray(value) for name, value in vars(found).items()}
    write_arrays(run_folder / NEIGHBOURS, {_FORMAT: np.array(FORMAT), **told})


def read_neighbours(run_folder: Path) -> Neighbours:
    """Read the nearest real images of some samples.

    Raises:
        RecordsError: if they are missing, torn, of a newer format or not what runs write.
    """
    path = run_folder / NEIGHBOURS
    held = _held(path)
    wanted = {field.name for field in fields(Neighbours)}
    if set(held) != wanted or not _fit(held):
        raise RecordsError(f"{path}: needs {', '.join(sorted(wanted))}, of shapes that fit")
    plain = {name: value.item() if value.ndim == 0 else value for name, value in held.items()}
    return Neighbours(**plain)


def _held(path: Path) -> dict[str, NDArray[Any]]:
    held = read_arrays(path)
    version = held.pop(_FORMAT, np.array(0))
    check_format(path, version.item() if version.size == 1 else None)
    return held


def _number(path: Path, array: NDArray[Any] | None) -> float:
    if array is not None and array.shape == () and array.dtype.kind == "f":
        value = float(array)
        if 0 <= value < math.inf:
            return value
    raise RecordsError(f"{path}: does not say after how many kimg it was drawn")


def are_images(array: NDArray[Any]) -> bool:
    """Tell whether an array is of images uint8 NHWC, grey or in RGB."""
    kind = array.dtype == np.uint8 and array.ndim == 4 and array.size > 0
    return kind and array.shape[-1] in (1, 3)


def _fit(held: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether the arrays of neighbours are of the kinds and shapes that belong together."""
    kinds = {name: (array.dtype.kind, array.ndim) for name, array in held.items()}
    wanted = dict.fromkeys(("arm", "chosen_by", "extractor"), ("U", 0))
    wanted |= {"samples": ("u", 4), "images": ("u", 5)}
    wanted |= {"indices": ("i", 2), "distances": ("f", 2)}
    wanted |= {"real_median": ("f", 0), "real_count": ("i", 0)}
    samples, images = held["samples"], held["images"]
    return (
        kinds == wanted
        and are_images(samples)
        and images.dtype == np.uint8
        and images.size > 0
        and (len(samples), *samples.shape[1:]) == (len(images), *images.shape[2:])
        and images.shape[:2] == held["indices"].shape == held["distances"].shape
        and bool(np.isfinite(held["distances"]).all())
        and 0 <= float(held["real_median"]) < math.inf
    )
