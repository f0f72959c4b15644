"""A run's checkpoints: whole or not there, with a digest of what they hold, the newest few.

One safetensors file each: tensors, and all else as JSON. Nothing in it is pickled, so that reading
one runs nothing; a digest over tensors and JSON is checked before anything of it is used.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, uint8

from harness.files import plain
from harness.files.pickles import DAMAGED, in_parts, of_parts
from harness.records.files import check_format, writing, written_atomically
from harness.records.types import FORMAT

_NAME = re.compile(r"iteration-(\d+)\.safetensors")
_DIGEST, _DATA, _FORMAT = "sha256", "data", "format"


class Torn(Exception):
    """A checkpoint is not what was written: cut off, or changed on the disk."""


def save(folder: Path, iteration: int, data: Mapping[str, Any], keep: int) -> None:
    """Write a checkpoint, then remove all but the newest ``keep``.

    Args:
        folder: of the run's checkpoints.
        iteration: iterations done.
        data: any nesting of lists, tuples and dicts of tensors, numbers and text.
        keep: at least 1.

    Raises:
        OutputError: if it cannot be written; those before it stand.
        TypeError: for data of another kind.
    """
    tensors, text = in_parts(data)
    digest = _digest(str(FORMAT), tensors, text)
    header = {_FORMAT: str(FORMAT), _DIGEST: digest, _DATA: text}
    with written_atomically(folder / f"iteration-{iteration:09d}.safetensors") as path:
        try:
            save_file(tensors, path, header)
        except SafetensorError as error:
            raise OSError(None, " ".join(str(error).split())) from None
    for old in find(folder)[keep:]:
        with writing(old):
            old.unlink()


def find(folder: Path) -> list[Path]:
    """Return the files of a folder that are named as checkpoints, newest first."""
    named = [path for path in folder.glob("*.safetensors") if _NAME.fullmatch(path.name)]
    return sorted(named, key=_iteration, reverse=True)


def sound(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the whole checkpoints of a folder, newest first; one in memory at a time.

    A file that is torn is put aside under a name that is no checkpoint's.

    Raises:
        RecordsError: if a newer harness wrote one.
    """
    for path in find(folder):
        try:
            yield path, load(path)
        except Torn:
            put_aside(path)


def put_aside(path: Path) -> None:
    """Rename a checkpoint that cannot be used.

    Raises:
        OutputError: if the folder cannot be changed.
    """
    with writing(path):
        path.rename(path.with_suffix(".unsound"))


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint, its tensors on the CPU.

    Raises:
        Torn: if the file is not what was written.
        RecordsError: if a newer harness wrote it.
    """
    try:
        with plain.opened(path), safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header[_DIGEST] != _digest(header[_FORMAT], tensors, header[_DATA]):
            raise Torn(path)
        check_format(path, int(header[_FORMAT]))
        return of_parts(tensors.__getitem__, header[_DATA])
    except MemoryError:  # it may be sound: another attempt may have the room
        raise
    except (SafetensorError, OSError, *DAMAGED):
        raise Torn(path) from None


def _iteration(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def _digest(version: str, tensors: Mapping[str, Tensor], text: str) -> str:
    # The same in every format, so that a newer file is told from a damaged one.
    total = hashlib.sha256(f"{version}\x1f{text}".encode())
    for name in sorted(tensors):
        value = tensors[name]
        total.update(f"\x1f{name}\x1f{value.dtype}\x1f{tuple(value.shape)}\x1f".encode())
        total.update(value.reshape(-1).view(uint8).numpy().data)
    return total.hexdigest()
