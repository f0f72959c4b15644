"""What torch.save wrote, read without running code or filling the memory: names and tensors."""

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

from harness import compat  # noqa: F401  (declares what mmengine's checkpoints hold as safe)
from harness.errors import DataError, printable

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64}
)
_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError),
    *(RuntimeError, MemoryError, OverflowError, AssertionError, SystemError),
    *(zipfile.BadZipFile, struct.error, OSError),
)
_FILLS = b"bytearray\n"
"""Torch lets a checkpoint name it: with a number, a few bytes become any number of zeros."""


def load(file: BinaryIO, origin: object) -> Mapping[Any, Any]:
    """Read a file of names, in either of torch's formats, on the CPU.

    Args:
        file: at its start.
        origin: its name, for messages.

    Raises:
        DataError: if it is damaged, no such file, or names anything that could run code; nothing
            of it has run then.
    """
    start, size = file.read(len(_ZIP)), file.seek(0, 2)
    try:
        _check(file, start, size)
        file.seek(0)
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():
            warnings.simplefilter("ignore")  # of unusual protocols; what is read is checked here
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise DataError(f"{origin}: {_reason(str(error), start, size)}") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{origin}: holds a {type(content).__name__}, no checkpoint's names")
    return content


def entries(content: Mapping[Any, Any], size: int) -> dict[str, Tensor]:
    """Return the weights among names by their names.

    Args:
        size: of the file, in bytes.
    """
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and _is_weights(value, size)
    }


def state_dict(content: bytes, origin: object) -> dict[str, Tensor]:
    """Read a file of weights and nothing else.

    Raises:
        DataError: as ``load``; or if it holds something else, or a number that is not finite.
    """
    held = load(io.BytesIO(content), origin)
    tensors = entries(held, len(content))
    if others := [name for name in held if name not in tensors]:
        raise DataError(f"{origin}: holds no weights as {listing(others)}")
    if wrong := not_finite(tensors):
        raise DataError(f"{origin}: holds NaN or infinite values in {listing(wrong)}")
    return tensors


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors that hold NaN or infinite values."""
    return [name for name, value in tensors.items() if not bool(value.isfinite().all())]


def listing(names: Iterable[object], most: int = 8) -> str:
    """Return names in one line; past ``most`` of them only how many more there are."""
    told = [printable(name, 60) if isinstance(name, str) else type(name).__name__ for name in names]
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return (", ".join(told[:most]) or "nothing") + more


def _check(file: BinaryIO, start: bytes, size: int) -> None:
    """Find out what torch leaves be.

    Raises:
        ValueError: a part fails its checksum, is packed or lies upon another, or would fill the
            memory.
    """
    if start == _ZIP:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
            if packed or sum(part.file_size for part in parts) > size:
                raise ValueError("holds more than its length")
            if wrong := archive.testzip():
                raise ValueError(wrong)
    if _holds(file, _FILLS):
        raise ValueError("GLOBAL builtins.bytearray")


def _holds(file: BinaryIO, text: bytes) -> bool:
    """Search a whole file, also across the borders of what is read at once."""
    file.seek(0)
    last = b""
    while block := file.read(1 << 24):
        if text in last + block:
            return True
        last = block[-len(text) :]
    return False


def _reason(message: str, start: bytes, size: int) -> str:
    """Say why torch refused a file; its own messages advise to switch the guard off."""
    refused = re.search(r"GLOBAL ([\w.]+)|looks up '(\w+)' of <class '([\w.]+)'>", message)
    if refused:
        found, name, owner = refused.groups()
        found = printable(found or f"{owner}.{name}", 100)
        return (
            f"names {found}, which could run code: nothing of it was run; only weights, numbers "
            "and text are read. Take it from a source you trust, and save its state_dict alone"
        )
    if start.startswith((_ZIP, _PICKLE)):
        return f"is damaged or cut off after {size} bytes, or no checkpoint of torch: fetch it anew"
    return "is no checkpoint: neither torch's format nor safetensors"


def _is_weights(value: object, size: int) -> bool:
    # A file may hold sparse, quantised, meta and expanded tensors too; no generator has such.
    if not isinstance(value, Tensor) or value.is_quantized or value.dtype not in _DTYPES:
        return False
    if value.layout is not torch.strided or value.device.type != "cpu":
        return False
    # A few bytes can be laid out as a tensor larger than any memory.
    held = value.numel() * value.element_size()
    return held <= min(size, value.untyped_storage().nbytes())
