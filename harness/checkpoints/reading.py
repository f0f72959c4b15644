"""Files of weights, read without running code: torch's own formats and safetensors."""

import hashlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness import compat  # noqa: F401  (declares what mmengine's checkpoints hold as safe)
from harness.errors import DataError

_WRAPPERS = {"module", "_orig_mod"}
"""Parts of names that parallel and compiled modules put in."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64}
)
_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError),
    *(RuntimeError, MemoryError, OverflowError, AssertionError, SystemError),
    *(zipfile.BadZipFile, struct.error, OSError),
)


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
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            start = file.read(9)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    content = _safetensors(path) if start[8:] == b"{" else _torch_file(path, start)
    state = _state(content)
    tensors = {_plain(name): value for name, value in state.items() if _is_weights(value)}
    if not tensors:
        raise DataError(f"{path}: holds no weights, but {listing(map(str, content))}")
    data = content.get("harness_pickle_data")
    return Checkpoint(path, sha256, tensors, data if isinstance(data, Mapping) else {})


def _safetensors(path: Path) -> Mapping[Any, Any]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError):
        raise DataError(f"{path}: is damaged or cut off safetensors: fetch it anew") from None
    return tensors


def _torch_file(path: Path, start: bytes) -> Mapping[Any, Any]:
    try:
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():
            warnings.simplefilter("ignore")  # of unusual protocols; what is read is checked here
            content = torch.load(path, map_location="cpu", weights_only=True)
        if start.startswith(_ZIP):
            _check_sums(path)
    except _DAMAGED as error:
        raise DataError(f"{path}: {_reason(str(error), start, path.stat().st_size)}") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: holds a {type(content).__name__}, no checkpoint's names")
    return content


def _check_sums(path: Path) -> None:
    """Raise ValueError where a part of a zip file fails its checksum, which torch leaves be."""
    with zipfile.ZipFile(path) as file:
        if wrong := file.testzip():
            raise ValueError(wrong)


def _reason(message: str, start: bytes, size: int) -> str:
    """Say why torch refused a file; its own messages advise to switch the guard off."""
    refused = re.search(r"GLOBAL ([\w.]+)|looks up '(\w+)' of <class '([\w.]+)'>", message)
    if refused:
        found, name, owner = refused.groups()
        return (
            f"names {found or f'{owner}.{name}'}, which could run code: nothing of it was run; "
            "only weights, numbers and text are read. Take it from a source you trust, and save "
            "its state_dict alone"
        )
    if start.startswith((_ZIP, _PICKLE)):
        return f"is damaged or cut off after {size} bytes, or no checkpoint of torch: fetch it anew"
    return "is no checkpoint: neither torch's format nor safetensors"


def _state(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    while isinstance(inner := content.get("state_dict"), Mapping):
        content = inner
    return content


def _is_weights(value: object) -> bool:
    # A file may hold sparse, quantised, meta and expanded tensors too; no generator has such.
    if not isinstance(value, Tensor) or value.is_quantized or value.dtype not in _DTYPES:
        return False
    if value.layout is not torch.strided or value.device.type != "cpu":
        return False
    # A few bytes can be laid out as a tensor larger than any memory.
    return value.untyped_storage().nbytes() >= value.numel() * value.element_size()


def _plain(name: object) -> str:
    return ".".join(part for part in str(name).split(".") if part not in _WRAPPERS)


def listing(names: Iterable[str], most: int = 8) -> str:
    """Return names in one line; past ``most`` of them only how many more there are."""
    listed = [name.encode("unicode_escape").decode() for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "nothing") + more
