"""Whole files from paths that users name, where anything may lie: a pipe, a device, a giant."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_WAITS_FOR_NOBODY = getattr(os, "O_NONBLOCK", 0)


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
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MiB", str(path))
    return content
