"""Record files: whole or not there, bounded when read, of a format that is known."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import OutputError, RecordsError
from harness.files.plain import NoText, read_text
from harness.records.types import FORMAT

_LARGEST_BYTES = 2**20
_LARGEST_TABLE_BYTES = 2**30


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: temporary file, fsync, rename.

    Raises:
        OutputError: if the folder cannot be written.
    """
    with written_atomically(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary file to be written inside; it becomes ``path`` at the end, or is removed.

    File, name and folder have reached the disk when it ends.

    Raises:
        OutputError: if the folder cannot be written.
    """
    # Another machine's process may have the same number, and the same folder.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file or folder that could not be written or changed inside.

    Raises:
        OutputError: for an OSError.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return what a user is told who has to make room, or to allow writing."""
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}): make room there, make it "
        "writable, or choose another folder with --runs or --results"
    )


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its format's version, atomically."""
    write_atomically(path, json.dumps({"format": FORMAT, **value}, indent=1) + "\n")


def read_json(path: Path, most_bytes: int = _LARGEST_BYTES) -> dict[str, Any]:
    """Read a JSON object of this format or an older one, of at most so many bytes.

    Raises:
        RecordsError: if it is missing, torn, or of a newer format.
    """
    text = read_record(path, most_bytes)
    try:
        value = json.loads(text)
        if "\\u" in text:  # halves of characters are no text
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RecordsError(f"{path}: is not JSON: was it cut off?") from None
    if not isinstance(value, dict):
        raise RecordsError(f"{path}: holds no JSON object")
    check_format(path, value.get("format"))
    return value


def read_record(path: Path, most_bytes: int = _LARGEST_TABLE_BYTES) -> str:
    """Return the text of a file of records.

    Raises:
        RecordsError: if it is missing, no file, no text, or larger than ``most_bytes``.
    """
    try:
        return read_text(path, most_bytes)
    except NoText as error:
        raise RecordsError(f"{path}: {error}") from None


def check_format(path: Path, version: object) -> None:
    """Refuse what a newer harness wrote.

    Raises:
        RecordsError: if ``version`` is not a format that this harness reads.
    """
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise RecordsError(
            f"{path}: format {version!r:.60} is not one this harness reads (1 to {FORMAT}): "
            "update gan-harness, or write to another folder"
        )
