"""Snapshots of averages on disk: one safetensors file each, which says what it is.

Readable without this package: float32 entries by name, and in the header ``sigma_rel`` and
``images``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from harness.ema.averaging import entries
from harness.errors import RecordsError, printable
from harness.files import plain
from harness.records.files import write_atomically


class Profile(NamedTuple):
    """A power-function average: its relative width, in (0, 12^-0.5], and the images it spans."""

    sigma_rel: float
    images: int


def write(folder: Path, profile: Profile, shadow: nn.Module) -> None:
    """Write all parameters and buffers of a shadow, floating ones as float32, atomically.

    Raises:
        OutputError: if the folder cannot be written.
    """
    state = {name: _kept(value) for name, value in entries(shadow).items()}
    header = {"sigma_rel": repr(profile.sigma_rel), "images": str(profile.images)}
    name = f"sigma-{profile.sigma_rel:g}-images-{profile.images:09d}.safetensors"
    write_atomically(folder / name, save(state, header))


def find(folder: Path) -> dict[Profile, Path]:
    """Return the snapshots in a folder by what they are averages of.

    Raises:
        RecordsError: if a file is torn or not a snapshot.
    """
    return {_profile(path): path for path in sorted(folder.glob("*.safetensors"))}


def remove_after(folder: Path, images: int) -> None:
    """Remove the snapshots that span more images; none of them is opened."""
    for path in folder.glob("sigma-*-images-*.safetensors"):
        number = path.stem.rpartition("-")[2]
        if number.isdecimal() and int(number) > images:
            path.unlink()


def tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield a snapshot's entries, one in memory at a time.

    Raises:
        RecordsError: if the file is torn.
    """
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118  (not a mapping)
            yield name, file.get_tensor(name)


def _kept(value: Tensor) -> Tensor:
    value = value.detach().to("cpu", torch.float32 if value.is_floating_point() else value.dtype)
    return value.contiguous()


def _profile(path: Path) -> Profile:
    with _opened(path) as file:
        header = file.metadata() or {}
    try:
        profile = Profile(float(header["sigma_rel"]), int(header["images"]))
        if not (0 < profile.sigma_rel <= 12**-0.5 and profile.images >= 0):
            raise ValueError(header)
        return profile
    except (KeyError, ValueError):
        raise RecordsError(f"{path}: is not a snapshot: its header names no average") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with plain.opened(path), safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        reason = printable(str(error), 100)
        raise RecordsError(f"{path}: cannot be read as a snapshot ({reason})") from None
