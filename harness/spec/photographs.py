"""One image by its name, before it is decoded: where it lies and how large it is.

Images that ship with scikit-learn and scikit-image are found without importing either, since both
take seconds and a plan has to answer at once.
"""

import importlib.util
import os
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError

SHIPPED = "shipped:"
"""Before the name of an image that comes with a library this harness depends on."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
"""Formats that are read, by Pillow's names."""

CORRUPT = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError),
    *(struct.error, zlib.error, MemoryError, RuntimeError, AttributeError, AssertionError),
)
"""What Pillow and zipfile raise for data that is not what it says it is."""

_FOLDERS = (("sklearn", "datasets/images"), ("skimage", "data"))
_SUFFIXES = (".png", ".jpg")
_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange height and width."""


def shipped() -> Mapping[str, Path]:
    """Return every image that the installed libraries ship, by its name."""
    found: dict[str, Path] = {}
    for package, folder in _FOLDERS:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            files = sorted(Path(place, folder).glob("*"))
            found |= {file.stem: file for file in files if file.suffix in _SUFFIXES}
    return found


def located(root: str) -> Path:
    """Return the file that a user names: a path, or ``shipped:NAME``.

    Raises:
        DataError: no image of that name ships (lists those that do), the path is a folder, or
            nothing is there.
    """
    if root.startswith(SHIPPED):
        known, name = shipped(), root.removeprefix(SHIPPED)
        if name not in known:
            names = ", ".join(sorted(known))
            raise DataError(f"no image {name!r} is shipped; known are {names}")
        return known[name]
    path = os.path.expanduser(root)
    if os.path.isfile(path):
        return Path(path)
    found = "is a folder" if os.path.isdir(path) else "is no file"
    found = found if os.path.exists(path) else "is missing"
    raise DataError(f"{root} {found}; name one image, or {SHIPPED}NAME, as shipped:china")


def title(root: str) -> str:
    """Return what the image is called in tables."""
    return root.removeprefix(SHIPPED) if root.startswith(SHIPPED) else Path(root).name


def size_of(root: str) -> tuple[int, int]:
    """Return H and W in px of an image as it is looked at, from its header alone.

    Raises:
        DataError: there is no image.
    """
    from PIL import Image, UnidentifiedImageError

    path = located(root)
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd EXIF data
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return image.size if turned else image.size[::-1]
    except UnidentifiedImageError:
        raise DataError(unreadable(root, "not an image")) from None
    except (*CORRUPT, Image.DecompressionBombError) as error:
        raise DataError(unreadable(root, " ".join(str(error).split()))) from None


def unreadable(root: str, reason: str) -> str:
    """Return the message for a file that is no readable image."""
    return f"{root}: {reason}; give one sound image ({', '.join(FORMATS)})"
