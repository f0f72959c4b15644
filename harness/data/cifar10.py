"""CIFAR-10's training images, of the files that its authors publish.

They are pickles, which torchvision checks by MD5 and then lets run; here nothing in them is run.
Of the archive only the files that are known are taken, whatever else it holds.
"""

import hashlib
import tarfile
import warnings
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.data import Pixels
from harness.data.decode import MAX_BYTES, one_line
from harness.errors import DataError, OutputError
from harness.files import plain
from harness.records.files import write_atomically


def read(root: Path) -> Pixels:
    """Read the 50,000 training images, uint8 N3HW; fetch them where nothing is there.

    Args:
        root: the folder of ``cifar-10-batches-py``.

    Raises:
        DataError: files are missing and cannot be fetched, or are not as published.
    """
    from torchvision.datasets import CIFAR10

    folder, sums = root / CIFAR10.base_folder, dict(CIFAR10.train_list + CIFAR10.test_list)
    missing = not all((folder / name).is_file() for name in sums)
    if missing and not folder.exists() and root.is_dir() and _has_folders(root):
        # Somebody's own tree: nothing is downloaded into it.
        raise DataError(
            f"{root}: holds no {CIFAR10.base_folder}; if it is a folder of images, "
            "add data.type=image_folder"
        )
    try:
        if missing:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / "download.lock"):
                _fetch(root, sums)
        batches = [_batch(folder / name, sums[name]) for name, _ in CIFAR10.train_list]
    except (OSError, RuntimeError, EOFError, tarfile.TarError, HTTPException, OutputError) as error:
        problem = "is missing and cannot be downloaded" if missing else "is damaged"
        raise DataError(
            f"CIFAR-10 {problem} ({one_line(error)}): place the unpacked cifar-10-python.tar.gz of "
            f"https://www.cs.toronto.edu/~kriz/cifar.html as {folder}"
        ) from error
    return np.concatenate(batches).reshape(-1, 3, 32, 32)


def _has_folders(root: Path) -> bool:
    return any(path.is_dir() for path in root.iterdir())


def _fetch(root: Path, sums: dict[str, str]) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_url

    download_url(CIFAR10.url, str(root), CIFAR10.filename, CIFAR10.tgz_md5)
    with tarfile.open(root / CIFAR10.filename, "r:gz") as archive:
        for name in sums:
            held = archive.extractfile(f"{CIFAR10.base_folder}/{name}")
            if held is None:
                raise tarfile.TarError(f"{name} is no file")
            write_atomically(root / CIFAR10.base_folder / name, held.read(MAX_BYTES))


def _batch(path: Path, md5: str) -> Any:
    from harness.files.pickles import DAMAGED, DataUnpickler

    content = plain.read(path, MAX_BYTES)
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise OSError(f"{path.name} is not as published")
    try:
        with warnings.catch_warnings():  # numpy 2.4.0 to 2.4.4, of Python 2's pickles
            warnings.simplefilter("ignore")
            return DataUnpickler(content, path, encoding="latin1").load()["data"]
    except DAMAGED as error:
        raise OSError(f"{path.name}: {one_line(error)}") from error
