"""Real image sets, read into uint8 N3HW in an order that is the same on every machine.

Files with a part of their path that starts with a dot or is ``__MACOSX`` belong to no set.
"""

import errno
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from PIL import Image

from harness.data import (
    BrokenImageError,
    DataSource,
    Images,
    Listing,
    Pixels,
    UnfitImageError,
    cifar10,
    digest,
)
from harness.data.decode import MAX_BYTES, decode, fitted, one_line
from harness.data.threads import each
from harness.errors import DataError, printable
from harness.files import plain
from harness.spec.photographs import CORRUPT

__all__ = ["SPLITS", "DataSource", "Images", "decoded", "image_names", "load", "opened"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm")
CIFAR10_ROOT = Path("~/.cache/gan-harness/cifar10")
SPLITS = MappingProxyType(
    {"digits": "scikit-learn's load_digits, all", "cifar10": "CIFAR-10, training images"}
)
"""Which part of a known set ``opened`` lists, for a protocol."""

_NAMED = 5  # offenders named in a message
_NO_IMAGE = frozenset({errno.EINVAL, errno.EFBIG})
_PACKED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_T = TypeVar("_T")


def load(source: DataSource) -> Images:
    """Read a whole set into memory.

    Raises:
        DataError: images are missing, broken or of the wrong shape.
    """
    with opened(source) as listing:
        kept, skipped = 0, []
        pixels = np.empty((len(listing.names), 3, source.resolution, source.resolution), np.uint8)
        for name, image in decoded(listing, source, lambda image: image):
            if image is None:
                skipped.append(name)
            else:
                pixels[kept] = image
                kept += 1
    return Images(listing.name, pixels[:kept], digest(pixels[:kept]), tuple(skipped))


@contextmanager
def opened(source: DataSource) -> Iterator[Listing]:
    """List a source, whose images can be read inside the ``with``.

    Raises:
        DataError: nothing is there, or nothing that is an image.
    """
    root = Path(os.path.expanduser(source.root or CIFAR10_ROOT))
    match source.type:
        case "digits":
            yield _of_array("digits", _digits()[: source.max_images])
        case "cifar10":
            yield _of_array("cifar10", cifar10.read(root)[: source.max_images])
        case "image_folder":
            yield _folder(root, source.max_images)
        case "zip":
            with _archive(root) as archive:
                yield _members(root, archive, source.max_images)


def decoded(
    listing: Listing, source: DataSource, then: Callable[[Pixels], _T]
) -> Iterator[tuple[str, _T | None]]:
    """Yield each name with ``then(image)``, image uint8 3HW, or with None where it was skipped.

    A few threads decode, and run ``then``.

    Raises:
        DataError: after the last image, naming those that were refused.
    """

    def attempt(name: str) -> _T | BrokenImageError | UnfitImageError:
        try:
            return then(fitted(listing.decode(listing.read(name)), source))
        except (BrokenImageError, UnfitImageError) as problem:
            return problem

    problems: dict[type, list[str]] = {BrokenImageError: [], UnfitImageError: []}
    with warnings.catch_warnings():  # PIL warns of bombs and of odd EXIF data, in all threads
        warnings.simplefilter("ignore")
        for name, result in each(attempt, listing.names):
            if isinstance(result, BrokenImageError | UnfitImageError):
                problems[type(result)].append(f"{printable(repr(name), 100)} ({result})")
                if isinstance(result, BrokenImageError) and source.broken == "skip":
                    yield name, None
            else:
                yield name, result
    _refuse(listing, source, *problems.values())


def _refuse(listing: Listing, source: DataSource, broken: list[str], unfit: list[str]) -> None:
    total = len(listing.names)
    if unfit:
        raise DataError(
            f"{listing.name}: {len(unfit)} of {total} images do not fit: {_first(unfit)}; every "
            f"image must be square, or crop: center, and at least {source.resolution} px wide"
        )
    if broken and source.broken == "refuse":
        raise DataError(
            f"{listing.name}: {len(broken)} of {total} images cannot be read: {_first(broken)}; "
            "mend or remove them, or set broken: skip"
        )
    if len(broken) == total:
        raise DataError(f"{listing.name}: no image can be read: {_first(broken)}; check the source")


def _first(problems: Sequence[str]) -> str:
    more = len(problems) - _NAMED
    return ", ".join(problems[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_array(name: str, pixels: Pixels) -> Listing:
    """List images N3HW in memory; a name is an index, the bytes are HW3."""
    side = pixels.shape[-1]
    return Listing(
        name=name,
        names=[str(i) for i in range(len(pixels))],
        read=lambda index: pixels[int(index)].transpose(1, 2, 0).tobytes(),
        decode=lambda data: Image.frombytes("RGB", (side, side), data),
    )


def _digits() -> Pixels:
    from sklearn.datasets import load_digits

    grey = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def _folder(root: Path, max_images: int | None) -> Listing:
    if not os.path.isdir(root):
        found = "is a file; for an archive set type: zip" if os.path.exists(root) else "is missing"
        raise DataError(f"image folder {root} {found}; set data.root to a folder of images")

    def read(name: str) -> bytes:
        path = os.path.join(root, name)
        try:
            return plain.read(path, MAX_BYTES)
        except OSError as error:
            if error.errno in _NO_IMAGE:
                raise BrokenImageError(str(error.strerror)) from error
            raise DataError(f"cannot read {path!r}: {error.strerror}; mend it") from error

    names = image_names(_walk(root), root)[:max_images]
    files = [os.path.join(root, name) for name in names]
    return Listing(printable(root.resolve().name, 100), names, read, decode, files)


def _walk(root: Path) -> Iterator[str]:
    """Yield the relative POSIX paths of all files; links are followed, each folder taken once."""
    seen: set[str] = set()

    def stop(error: OSError) -> None:
        raise DataError(f"cannot list {error.filename!r}: {error.strerror}; mend it") from error

    for folder, subfolders, files in os.walk(root, onerror=stop, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()
        inside = Path(folder).relative_to(root).as_posix()
        yield from files if inside == "." else (f"{inside}/{file}" for file in files)


def image_names(paths: Iterable[str], root: object) -> list[str]:
    """Sort the paths that are images by their text, as in a folder so in an archive."""
    names = sorted(
        path
        for path in paths
        if path.lower().endswith(SUFFIXES)
        and not any(part.startswith((".", "__MACOSX")) for part in path.split("/"))
    )
    if not names:
        raise DataError(f"{root} holds no image; put {' '.join(SUFFIXES)} files there")
    return names


@contextmanager
def _archive(root: Path) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(plain.opened(root))
            archive = stack.enter_context(zipfile.ZipFile(file))
            held = sum(info.compress_size for info in archive.infolist())
            if held > os.fstat(file.fileno()).st_size:
                raise zipfile.BadZipFile("members overlap")
        except (*CORRUPT, zipfile.BadZipFile) as error:
            problem = f"cannot read {root} as a zip ({one_line(error)})"
            raise DataError(f"{problem}; set data.root to a whole archive") from error
        yield archive


def _members(root: Path, archive: zipfile.ZipFile, max_images: int | None) -> Listing:
    members = {info.filename: info for info in archive.infolist()}

    def read(name: str) -> bytes:
        member = members[name]
        if member.file_size > MAX_BYTES:
            raise BrokenImageError(f"larger than {MAX_BYTES >> 20} MiB")
        if member.compress_type not in _PACKED:
            raise BrokenImageError("neither stored nor deflated: pack it anew")
        try:
            with archive.open(member) as file:
                # Without a number, more than its stated size may be inflated before it is cut.
                data = file.read(member.file_size + 1)
        except (*CORRUPT, zipfile.BadZipFile) as error:
            raise BrokenImageError(one_line(error)) from error
        if len(data) != member.file_size:
            raise BrokenImageError(f"{len(data)} bytes, not {member.file_size} as it says")
        return data

    names = image_names(iter(members), root)[:max_images]
    return Listing(printable(root.stem, 100), names, read, decode, [root])
