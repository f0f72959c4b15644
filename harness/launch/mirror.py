"""Runs kept under a URL: each node works in a folder of its own and mirrors it there.

Any file system that fsspec knows and that all nodes reach will do. A file is there whole or not at
all: it is put beside and renamed. Rows go before the checkpoints that count them, and how a run
ended goes last, so that what is there at any time can be gone on from.
"""

import contextlib
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec

from harness.errors import OutputError
from harness.records.store import CHECKPOINTS

_OUTCOME = "outcome.json"
_OF_A_MACHINE = (".lock", ".lease-")
_NOT_REPORTED = (f"{CHECKPOINTS}/", "posthoc/", "weights.safetensors")
"""What is large, and no report is made of."""

Stamp = tuple[int, int]
"""A file's size, and when it changed, in nanoseconds."""


class Mirror:
    """One run's folder on this machine, and the same under a URL.

    Args:
        url: of the folder that holds the runs.
        folder: the run's here, by the same name.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._fs, root = _opened(url)
        self._root = f"{root}/{folder.name}"
        self._folder = folder
        self._there: dict[str, Stamp] = {}
        self._newest: str | None = None

    def fetch(self) -> None:
        """Have here what is there, and nothing else.

        Raises:
            OSError: if it cannot be read, or not be written here.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for inside in _found(self._fs, self._root):
            if inside.endswith(".tmp"):  # of a node that died
                self._fs.rm_file(f"{self._root}/{inside}")
                continue
            _get(self._fs, f"{self._root}/{inside}", self._folder / inside)
            self._there[inside] = _stamp(self._folder / inside)
        self._newest = self._checkpoint()

    def keep_up(self) -> None:
        """Mirror what is new once there is a new checkpoint; what fails is tried with the next."""
        newest = self._checkpoint()
        if newest != self._newest:
            self._newest = newest
            with contextlib.suppress(OSError):
                self.push()

    def push(self) -> None:
        """Have there what is here.

        Raises:
            OSError: if it cannot be written.
        """
        here = {inside: _stamp(self._folder / inside) for inside in self._inside()}
        for inside in sorted(here, key=_order):
            # A checkpoint may have been removed since.
            if self._there.get(inside) != here[inside] and (self._folder / inside).exists():
                _put(self._fs, self._folder / inside, f"{self._root}/{inside}")
                self._there[inside] = here[inside]
        for inside in [*self._there.keys() - here.keys()]:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{inside}")
            del self._there[inside]

    def _checkpoint(self) -> str | None:
        names = (path.name for path in (self._folder / CHECKPOINTS).glob("*.safetensors"))
        return max(names, default=None)

    def _inside(self) -> Iterator[str]:
        for path in self._folder.rglob("*"):
            inside = path.relative_to(self._folder).as_posix()
            if not inside.startswith(_OF_A_MACHINE) and path.suffix != ".tmp" and path.is_file():
                yield inside


def announce(url: str, spec: str) -> None:
    """Write the question beside its runs, and find out whether the URL can be written.

    Raises:
        OutputError: if it cannot be, or is of no file system that all nodes could reach.
    """
    with _speaking(url):
        fs, root = _opened(url)
        if "memory" in fs.protocol:
            raise OutputError(f"--runs {url}: a process's memory is no place that nodes share")
        fs.makedirs(root, exist_ok=True)
        fs.pipe_file(f"{root}/spec.yaml", spec.encode())


def bring(url: str, names: Sequence[str], runs_dir: Path) -> None:
    """Have in a folder here what reports are made of; runs that are not there are removed here.

    Args:
        url: of the folder that holds the runs.
        names: of the runs.
        runs_dir: where the copies go.

    Raises:
        OutputError: if it cannot be read.
    """
    with _speaking(url):
        fs, root = _opened(url)
        found: dict[str, list[str]] = defaultdict(list)
        for name, inside in _by_run(fs, root, names):
            found[name].append(inside)
        for name in names:
            _bring_one(fs, f"{root}/{name}", found[name], runs_dir / name)


def _by_run(fs: Any, root: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(names) == 1:
        yield from ((names[0], inside) for inside in _found(fs, f"{root}/{names[0]}"))
        return
    for path in _found(fs, root):
        name, _, inside = path.partition("/")
        yield name, inside


def _bring_one(fs: Any, root: str, insides: Sequence[str], folder: Path) -> None:
    known = folder / _OUTCOME
    ended = fs.cat_file(f"{root}/{_OUTCOME}") if _OUTCOME in insides else None
    if ended is not None and known.exists() and known.read_bytes() == ended:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for inside in sorted(insides, key=_order):
        if not inside.startswith(_NOT_REPORTED) and not inside.endswith(".tmp"):
            _get(fs, f"{root}/{inside}", folder / inside)


def _opened(url: str) -> tuple[Any, str]:
    fs, root = fsspec.core.url_to_fs(url)
    return fs, root.rstrip("/")


@contextlib.contextmanager
def _speaking(url: str) -> Iterator[None]:
    """Name the URL that did not do.

    Raises:
        OutputError: for an OSError, a protocol that is not known or whose library is missing.
    """
    try:
        yield
    except (OSError, ImportError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OutputError(f"--runs {url}: {reason}") from None


def _found(fs: Any, root: str) -> list[str]:
    """Return the files below a folder by their paths in it."""
    fs.invalidate_cache()
    return [path[len(root) + 1 :] for path in fs.find(root)]


def _get(fs: Any, source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fs.get_file(source, str(target))


def _put(fs: Any, source: Path, target: str) -> None:
    folder, _, name = target.rpartition("/")
    fs.makedirs(folder, exist_ok=True)
    beside = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
    with contextlib.suppress(FileNotFoundError):  # removed here while it was read
        fs.put_file(str(source), beside)
        fs.mv(beside, target)


def _order(inside: str) -> tuple[bool, bool, str]:
    return inside == _OUTCOME, inside.startswith(f"{CHECKPOINTS}/"), inside


def _stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
