"""A run's pictures as arrays: ``.npz`` files, written whole and read within bounds."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import RecordsError
from harness.files import plain
from harness.records.files import written_atomically

FILE = "samples/final.npz"
_MOST_BYTES = 2**28
"""Of all images of a file, inflated."""


def read(run_folder: Path) -> dict[str, NDArray[Any]]:
    """Return arrays by the names of arms, and ``real``: uint8 NHWC, where a run wrote the file.

    Raises:
        RecordsError: if there is no such file, it is damaged or too large.
    """
    return read_arrays(run_folder / FILE)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by their names.

    Raises:
        RecordsError: if there is no such file, it is damaged or too large.
    """
    try:
        return plain.read_arrays(path, _MOST_BYTES)
    except (OSError, plain.NoArrays):
        raise RecordsError(f"{path}: is not a file of samples: was it cut off?") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by their names, as numpy's ``savez_compressed`` does: equal ones, equal bytes.

    Raises:
        OutputError: if the folder cannot be written.
    """
    with (
        written_atomically(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():  # savez itself has no name for an arm called "file"
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)
