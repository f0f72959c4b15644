"""Files of weights, read without running code: torch's own formats and safetensors."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness.errors import DataError
from harness.files import plain, torch_files
from harness.files.torch_files import listing

_WRAPPERS = {"module", "_orig_mod"}
"""Parts of names that parallel and compiled modules put in."""
_DEEPEST = 100


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Args:
        path: the file.
        sha256: of its bytes, in hex.
        tensors: every entry by its name, without the parts that wrappers put in.
        data: what PickleDataHook put beside the weights.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]
    data: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint of torch, mmcv or mmengine, or a safetensors file, on the CPU.

    Raises:
        DataError: if it cannot be read, is damaged, holds no weights, or names anything that
            could run code; nothing of it has run then.
    """
    try:
        with plain.opened(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(8)
            is_safetensors = file.read(1) == b"{"
            file.seek(0)
            content = _safetensors(path) if is_safetensors else torch_files.load(file, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    state = torch_files.entries(_state(content), size)
    tensors = {_plain(name): value for name, value in state.items()}
    if not tensors:
        raise DataError(f"{path}: holds no weights, but {listing(content)}")
    data = content.get("harness_pickle_data")
    return Checkpoint(path, sha256, tensors, data if isinstance(data, Mapping) else {})


def _safetensors(path: Path) -> Mapping[Any, Any]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError):
        raise DataError(f"{path}: is damaged or cut off safetensors: fetch it anew") from None
    return tensors


def _state(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    for _ in range(_DEEPEST):  # a pickle may hold itself
        if not isinstance(inner := content.get("state_dict"), Mapping):
            break
        content = inner
    return content


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
