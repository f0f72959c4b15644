"""A run's ``samples/final.npz``: images of every arm, and real ones, read within bounds."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import plain_files
from harness.errors import RecordsError

FILE = "samples/final.npz"
_MOST_BYTES = 2**28
"""Of all images of a file, inflated."""
_DAMAGED = (
    *(OSError, ValueError, EOFError, LookupError, NotImplementedError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)


def read(run_folder: Path) -> dict[str, NDArray[Any]]:
    """Return arrays by the names of arms, and ``real``: uint8 NHWC, where a run wrote the file.

    Raises:
        RecordsError: if there is no such file, it is damaged or too large.
    """
    path = run_folder / FILE
    try:
        with plain_files.opened(path) as file:
            with zipfile.ZipFile(file) as archive:
                if sum(part.file_size for part in archive.infolist()) > _MOST_BYTES:
                    raise ValueError("too large")
            file.seek(0)
            with np.load(file, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
    except _DAMAGED:
        raise RecordsError(f"{path}: is not a file of samples: was it cut off?") from None
