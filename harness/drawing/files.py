"""Writing many files, and losing none: what is there is only ever replaced by its equal."""

from collections.abc import Mapping
from pathlib import Path

from harness.errors import OutputError
from harness.records.files import write_atomically


def write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each whole or not at all; equal ones that are there stay.

    Raises:
        OutputError: before anything is written, if a file of one of the names is there and differs;
            or if the folder cannot be written.
    """
    taken = [name for name, content in files.items() if not _free(folder / name, content)]
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise OutputError(
            f"{folder / taken[0]}{more}: there already, and not what would be written: name "
            "another folder with --out, or move it away"
        )
    for name, content in files.items():
        if not (folder / name).exists():
            write_atomically(folder / name, content)


def _free(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return True
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
