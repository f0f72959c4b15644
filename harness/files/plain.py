"""Whole files from paths that users name, where anything may lie: a pipe, a device, a giant."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WAITS_FOR_NOBODY = getattr(os, "O_NONBLOCK", 0)


class NoText(Exception):
    """A path does not lead to a text file; says what is there instead."""


class NoArrays(Exception):
    """A file is no npz of plain arrays; says what is wrong with it."""


def opened(path: str | Path) -> BufferedReader:
    """Open a file for reading, and nothing that is not one: a pipe would wait for ever.

    Raises:
        OSError: it is missing, unreadable, a folder, a pipe or a device; ``strerror`` says which.
    """
    file = open(  # noqa: SIM115  (handed on)
        path, "rb", opener=lambda name, flags: os.open(name, flags | _WAITS_FOR_NOBODY)
    )
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "not a plain file", str(path))


def read(path: str | Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        OSError: as ``opened``; or it is larger.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most) + 1)  # as much memory is set aside as is asked for
        if len(content) > size:  # it grows
            content += file.read(most + 1 - len(content))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MiB", str(path))
    return content


def read_text(path: Path, most_bytes: int) -> str:
    """Read a text file in UTF-8, its lines ending as they do here.

    Args:
        path: of the file.
        most_bytes: a larger file is not read.

    Raises:
        NoText: if there is no such file.
    """
    try:
        text = read(path, most_bytes).decode()
    except UnicodeDecodeError:
        raise NoText("is not a text file in UTF-8") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise NoText(f"is too large ({most_bytes} bytes at most)") from None
        raise NoText(f"cannot be read ({error.strerror})") from None
    except ValueError:  # NUL in the path, or what no file system can hold
        raise NoText("is not the path of a file") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_arrays(path: str | Path, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Read an npz of plain arrays by their names; nothing in it is unpickled.

    Args:
        path: of the file.
        most_bytes: of all arrays, inflated; what states more is not read.

    Raises:
        OSError: as ``opened``.
        NoArrays: it is damaged, too large, or no such file.
    """
    import zipfile  # planning needs none of this
    import zlib

    import numpy as np

    damaged = (
        *(ValueError, EOFError, LookupError, NotImplementedError, RuntimeError, MemoryError),
        *(zipfile.BadZipFile, zlib.error, OSError),
    )
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if sum(part.file_size for part in archive.infolist()) > most_bytes:
                    raise NoArrays(f"larger than {most_bytes >> 20} MiB")
            file.seek(0)
            with np.load(file, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        except damaged:
            raise NoArrays("damaged, cut off, or no npz of plain arrays") from None
