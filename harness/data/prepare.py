"""Every scale of a set, prepared once and kept as memory-mapped .npy files.

A cache entry is keyed by what was asked of which bytes: options, Pillow's version, and name, size
and sha256 of every file. Where the files lie does not matter. Each use checks every .npy file
against its recorded CRC-32, so that a torn or altered one is made again.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from harness.data import (
    DataSource,
    Listing,
    Pixels,
    is_power_of_two,
    sealed,
)
from harness.data.sources import SPLITS, decoded, opened
from harness.data.stamps import known_key
from harness.errors import OutputError, SpecError
from harness.records.protocols import Facts


@dataclass(frozen=True)
class Prepared:
    """A set at every scale asked for.

    Args:
        name: what the set is called in tables.
        digest: sha256 over the decoded pixels at the source's resolution, and their shape; equals
            ``Images.digest`` of the same source.
        skipped: names of the broken images left out.
        scales: side in px to uint8 N3ss, read-only memory maps, ascending.
        facts: which images, and how they came to each scale, for protocols.
    """

    name: str
    digest: str
    skipped: tuple[str, ...]
    scales: Mapping[int, Pixels]
    facts: Facts = field(default_factory=dict)


RESIZE = "area averages in whole numbers, rounded once, halves up"
"""What ``area_averages`` does, for a protocol."""


def prepare(source: DataSource, scales: Sequence[int], cache_dir: Path) -> Prepared:
    """Decode a set, average it down to each scale, and keep the result under ``cache_dir``.

    Several processes may prepare one set: the first does, the others wait and read.

    Raises:
        SpecError: a scale is no power of two from 1 to the source's resolution.
        DataError: images are missing, broken or of the wrong shape.
        OutputError: the cache cannot be written.
    """
    wanted = sorted(set(scales))
    refused = [s for s in wanted if not is_power_of_two(s) or s > source.resolution]
    if refused or not wanted:
        raise SpecError(
            [f"scales {refused}: allowed are powers of two from 1 to {source.resolution}"]
        )
    with opened(source) as listing:
        folder = cache_dir.expanduser() / known_key(listing, source, cache_dir.expanduser())
        with _locked(folder):
            entry = _read(folder)
            if missing := [s for s in wanted if s not in entry.scales]:
                _build(listing, source, folder, missing, entry.checks)
                entry = _read(folder)
    if lost := [s for s in wanted if s not in entry.scales]:
        raise OutputError(f"{folder}: scales {lost} do not read back as written; check the disk")
    facts = {"real_split": SPLITS.get(source.type, "the images given"), "real_resize": RESIZE}
    kept = {s: entry.scales[s] for s in wanted}
    return Prepared(listing.name, entry.digest, entry.skipped, kept, facts)


def area_averages(image: Pixels, scales: Sequence[int]) -> dict[int, Pixels]:
    """Average blocks of the full image, exactly: integer sums, rounded once, halves up.

    Args:
        image: uint8 CHW with H = W a power of two up to ``MAX_RESOLUTION``.
        scales: sides in px, powers of two up to W.

    Returns:
        Side in px to uint8 Css, value floor(sum / f**2 + 1/2) over blocks of f = W / s px.
    """
    averages: dict[int, Pixels] = {}
    sums = image.astype(np.uint32)
    while True:
        scale = sums.shape[-1]
        shift = 2 * (image.shape[-1] // scale).bit_length() - 2
        if scale in scales:
            averages[scale] = ((sums + ((1 << shift) >> 1)) >> shift).astype(np.uint8)
        if scale <= min(scales):
            return averages
        sums = sums[:, ::2] + sums[:, 1::2]
        sums = sums[:, :, ::2] + sums[:, :, 1::2]


def damaged(folder: Path) -> tuple[str, ...]:
    """Return the names of a cache entry's files that are missing or not as they were written."""
    recorded = _recorded(folder)
    if recorded is None:
        return ("entry.json",)
    kept = _read(folder).scales
    return tuple(f"{scale}.npy" for scale in recorded["checks"] if int(scale) not in kept)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a cache entry alone; failures to write it become OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            yield
    except OSError as error:
        raise OutputError(
            f"cannot keep prepared images in {folder.parent}: {error.strerror or error}; "
            "free space there or choose another cache folder"
        ) from error


@dataclass(frozen=True)
class _Entry:
    """What a cache entry soundly holds; by default nothing."""

    digest: str = ""
    skipped: tuple[str, ...] = ()
    checks: Mapping[int, int] = field(default_factory=dict)
    scales: Mapping[int, Pixels] = field(default_factory=dict)


def _recorded(folder: Path) -> dict[str, Any] | None:
    """Return what an entry says of itself; None where that is missing or altered."""
    try:
        seal, _, body = (folder / "entry.json").read_text("utf-8").partition("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if seal != hashlib.sha256(body.encode()).hexdigest():
        return None
    entry: dict[str, Any] = json.loads(body)
    return entry


def _read(folder: Path) -> _Entry:
    entry = _recorded(folder)
    if entry is None:
        return _Entry()
    checks, scales = {}, {}
    for scale, check in ((int(s), check) for s, check in entry["checks"].items()):
        pixels = _sound(folder / f"{scale}.npy", (entry["count"], 3, scale, scale), check)
        if pixels is not None:
            checks[scale], scales[scale] = check, pixels
    return _Entry(entry["digest"], tuple(entry["skipped"]), checks, scales)


def _sound(path: Path, shape: tuple[int, ...], check: int) -> Pixels | None:
    """Map a .npy file, unless it is missing or not what was written."""
    header, found = _header(shape), 0
    try:
        with path.open("rb") as file:
            if file.read(len(header)) != header:
                return None
            while block := file.read(1 << 20):
                found = zlib.crc32(block, found)
    except FileNotFoundError:
        return None
    if found != check:
        return None
    pixels: Pixels = np.load(path, mmap_mode="r")
    return pixels


def _build(
    listing: Listing,
    source: DataSource,
    folder: Path,
    missing: Sequence[int],
    sound: Mapping[int, int],
) -> None:
    """Write the missing scales image by image, then an entry of them and of the sound ones."""
    full, levels = hashlib.sha256(), [*missing, source.resolution]
    checks = dict.fromkeys(missing, 0)
    count, skipped = 0, []
    with ExitStack() as stack:
        files = {s: stack.enter_context(_whole(folder / f"{s}.npy")) for s in missing}
        for scale, file in files.items():
            file.write(_header((len(listing.names), 3, scale, scale)))
        for name, averages in decoded(listing, source, lambda image: area_averages(image, levels)):
            if averages is None:
                skipped.append(name)
                continue
            count += 1
            full.update(averages[source.resolution].data)
            for scale, file in files.items():
                file.write(averages[scale].data)
                checks[scale] = zlib.crc32(averages[scale].data, checks[scale])
        for scale, file in files.items():
            file.seek(0)  # numpy leaves room: the header of fewer images has the same length
            file.write(_header((count, 3, scale, scale)))
    entry = {
        "count": count,
        "digest": sealed(full, (count, 3, source.resolution, source.resolution)),
        "skipped": skipped,
        "checks": {**sound, **checks},
    }
    body = json.dumps(entry, indent=1)
    with _whole(folder / "entry.json") as file:
        file.write(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}".encode())


def _header(shape: tuple[int, ...]) -> bytes:
    header = BytesIO()
    layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, layout)
    return header.getvalue()


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only once it is whole and on the disk."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
