"""The name of a prepared set, found without reading its files again.

Every file has a stamp of the file system: size, times, inode. The time of its last change is not
for users to set, so that bytes do not change under a stamp; where it is so recent that another
change could bear the same one, the name is not kept.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import PIL

from harness.data import BrokenImageError, DataSource, Listing
from harness.data.threads import each

FORMAT = 1
"""Version of the cache's layout and of the way from bytes to pixels."""
_SETTLED_NS = 2_000_000_000
"""No file system's clock is coarser."""


def known_key(listing: Listing, source: DataSource, cache_dir: Path) -> str:
    """Return ``key``, from the cache where the files are as they were when it was found."""
    before = _stamp(listing.files)
    if before is None:
        return key(listing, source)
    asked = json.dumps([*_options(source), before, *listing.names])
    name = hashlib.sha256(asked.encode()).hexdigest()[:32]
    path = cache_dir / f"{name}.key"
    if (kept := _read(path, name)) is not None:
        return kept
    found = key(listing, source)
    if _stamp(listing.files) == before:
        with contextlib.suppress(OSError):  # to keep the set itself will say what is wrong
            cache_dir.mkdir(parents=True, exist_ok=True)
            path.write_text(_sealed(found, name), "ascii")  # half of it would have no seal
    return found


def key(listing: Listing, source: DataSource) -> str:
    """Return the folder's name in the cache of these bytes under these options; reads them all."""

    def summed(name: str) -> tuple[int, bytes]:
        try:
            data = listing.read(name)
        except BrokenImageError as problem:
            data = str(problem).encode()
        return len(data), hashlib.sha256(data).digest()

    key = hashlib.sha256(json.dumps(_options(source)).encode())
    for name, (size, digest) in each(summed, listing.names):
        key.update(f"{name!a} {size} ".encode() + digest)
    return key.hexdigest()[:32]


def _options(source: DataSource) -> list[object]:
    return [
        *(FORMAT, PIL.__version__, source.type),
        *(source.resolution, source.crop, source.broken),
    ]


def _stamp(files: Sequence[str | Path]) -> str | None:
    """Return what changes with any of the files; None where that cannot be told."""
    stamp, settled = hashlib.sha256(), time.time_ns() - _SETTLED_NS
    for file in files:
        try:
            at = os.stat(file)
        except OSError:
            return None
        if max(at.st_mtime_ns, at.st_ctime_ns) > settled:
            return None
        numbers = (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
        stamp.update(f"{numbers}".encode())
    return stamp.hexdigest() if files else None


def _read(path: Path, name: str) -> str | None:
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    key = text.partition(" ")[0]
    return key if text == _sealed(key, name) else None


def _sealed(key: str, name: str) -> str:
    return f"{key} {hashlib.sha256(f'{name} {key}'.encode()).hexdigest()}"
