"""The images: those that ship, those a spec asks for, and what is kept prepared of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.data import DataSource, photograph
from harness.data.prepare import damaged
from harness.data.sources import load, opened
from harness.data.stamps import key
from harness.doctor.finding import Finding, State, counted, shown, size, some
from harness.errors import HarnessError
from harness.metrics.reference import read_tensors
from harness.spec.schema import Spec

_found = partial(Finding, "Data")

DIGITS_SHA256 = "b1183c06e0c9d523f2140b810bfca2fad9be05285980bb35eb758b6a36aba0b3"
"""Of scikit-learn's 1,797 digits as the harness reads them, and their shape."""
LARGEST_GIB = 2.0
"""Size up to which a file or set of the cache is read through."""

_FIRST = 8
_REFUSED = "a run of this spec is refused until that is mended"
_AGAIN = "nothing is lost: it is made again when a run needs it"


def digits(wanted: str = DIGITS_SHA256) -> Finding:
    """Read scikit-learn's digits and hold them against those of published numbers."""
    images = load(DataSource(type="digits", resolution=8))
    if images.digest == wanted:
        return _found(
            "digits", State.OK, f"{counted(len(images.pixels), 'image')}, sha256 {wanted[:12]}"
        )
    text = f"{len(images.pixels)} images with sha256 {images.digest[:12]}, not {wanted[:12]}"
    return _found("digits", State.PROBLEM, text, "reinstall scikit-learn")


def photographs(files: Mapping[str, Path]) -> Finding:
    """Decode the photographs that scikit-learn and scikit-image ship.

    Args:
        files: by the name after ``shipped:``.
    """
    broken = []
    for name, path in files.items():
        try:
            photograph.read(str(path))
        except HarnessError:
            broken.append(name)
    if broken or not files:
        text = f"{len(broken)} of {len(files)} cannot be decoded: {some(broken)}"
        what = "reinstall scikit-image and scikit-learn"
        return _found("photographs", State.WARNING, text if files else "none are there", what)
    return _found("photographs", State.OK, f"{len(files)} shipped, all decode")


def cifar10(root: Path, asked: bool) -> Finding:
    """Hold CIFAR-10's files against torchvision's digests; nothing is downloaded.

    Args:
        root: torchvision's root.
        asked: whether a spec asks for it; it may be missing otherwise.
    """
    from torchvision.datasets import CIFAR10

    folder = root.expanduser() / CIFAR10.base_folder
    if not folder.exists():
        text = f"not here ({shown(folder.parent)})"
        if asked:
            what = "the first run downloads 170 MB; without a network, place it there yourself"
            return _found("cifar10", State.WARNING, text, what)
        return _found("cifar10", State.NOTE, text)
    files = {**dict(CIFAR10.train_list + CIFAR10.test_list), "batches.meta": CIFAR10.meta["md5"]}
    wrong = [name for name, md5 in files.items() if _md5(folder / name) != md5]
    if wrong:
        text = f"{shown(folder)}: missing or not as published: {some(wrong)}"
        state = State.PROBLEM if asked else State.WARNING
        return _found("cifar10", state, text, "unpack cifar-10-python.tar.gz there again")
    return _found("cifar10", State.OK, f"{shown(folder)}, {len(files)} files as published")


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError:
        return ""


def one_image(spec: Spec) -> Finding:
    """Decode the image that a spec trains on."""
    root = spec.data.root or ""
    try:
        height, width, _ = photograph.read(root).shape
    except HarnessError as error:
        return _found("the spec's", State.PROBLEM, str(error), _REFUSED)
    return _found("the spec's", State.OK, f"{root}, {width} x {height} px")


def folder_or_archive(source: DataSource) -> Finding:
    """List a spec's folder or archive, and decode its first images."""
    try:
        with opened(source) as listing:
            names = list(listing.names)
        skipped = load(replace(source, max_images=min(_FIRST, len(names)))).skipped
    except HarnessError as error:
        return _found("the spec's", State.PROBLEM, str(error), _REFUSED)
    text = f"{source.root}: {counted(len(names), 'image')}, the first {min(_FIRST, len(names))} "
    if skipped:
        text += f"looked at: cannot be decoded, and will be skipped: {some(list(skipped))}"
        return _found("the spec's", State.WARNING, text, "mend them, or see that few are left out")
    return _found("the spec's", State.OK, f"{text}decode")


def prepared(folder: Path, source: DataSource | None = None) -> Finding:
    """Read the prepared sets of the cache through; large ones only where a spec asks for them.

    Args:
        folder: holds a folder for each set.
        source: what a spec asks for.
    """
    entries = [path.parent for path in sorted(folder.glob("*/entry.json"))]
    large = [entry for entry in entries if _gib(entry.glob("*.npy")) > LARGEST_GIB]
    asked = _asked(source) if large and source is not None else ""
    left = [entry for entry in large if entry.name != asked]
    read = [entry for entry in entries if entry not in left]
    wrong = [f"{shown(entry)}: {', '.join(names)}" for entry in read if (names := _unsound(entry))]
    gib = _gib(path for entry in entries for path in entry.glob("*.npy"))
    return _kept("prepared sets", len(entries), gib, wrong, len(left))


def _unsound(entry: Path) -> tuple[str, ...]:
    try:
        return damaged(entry)
    except OSError as error:
        return (str(error.strerror),)


def _asked(source: DataSource) -> str:
    if source.type == "cifar10":
        return ""  # it is never large, and opening it would download it
    try:
        with opened(source) as listing:
            return key(listing, source)
    except HarnessError:
        return ""  # said of the spec's images


def references(folder: Path) -> Finding:
    """Hold the references of the cache against the digests they begin with."""
    files = sorted(folder.glob("*.reference"))
    left = [path for path in files if _gib([path]) > LARGEST_GIB]
    wrong = [shown(path) for path in files if path not in left and not _whole(path)]
    return _kept("references", len(files), _gib(files), wrong, len(left))


def _whole(path: Path) -> bool:
    try:
        return read_tensors(path) is not None
    except OSError:
        return False


def _kept(name: str, count: int, gib: float, wrong: list[str], left: int) -> Finding:
    if not count:
        return _found(name, State.OK, "none are kept yet")
    text = f"{count} kept, {size(gib)}"
    if wrong:
        return _found(name, State.WARNING, f"{text}, damaged: {some(wrong)}", _AGAIN)
    if left:
        text += f"; {left} larger than {LARGEST_GIB:g} GiB not read: a run checks its own"
        return _found(name, State.NOTE, text)
    return _found(name, State.OK, f"{text}, all sound")


def _gib(files: Iterable[Path]) -> float:
    return sum(path.stat().st_size for path in files) / 2**30
