"""A run's ``samples/final.npz``: images of every arm, and real ones, read within bounds."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness import plain_files
from harness.errors import RecordsError

FILE = "samples/final.npz"
_MOST_BYTES = 2**28
"""Of all images of a file, inflated."""


def read(run_folder: Path) -> dict[str, NDArray[Any]]:
    """Return arrays by the names of arms, and ``real``: uint8 NHWC, where a run wrote the file.

    Raises:
        RecordsError: if there is no such file, it is damaged or too large.
    """
    path = run_folder / FILE
    try:
        return plain_files.read_arrays(path, _MOST_BYTES)
    except (OSError, plain_files.NoArrays):
        raise RecordsError(f"{path}: is not a file of samples: was it cut off?") from None
