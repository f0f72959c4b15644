"""Nested data of tensors in files: written as pickle or safetensors, read without running code.

Data is any nesting of lists, tuples and dicts of tensors, arrays, numbers, strings and None.
"""

import io
import json
import pickle
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from harness.errors import DataError, printable
from harness.files import plain
from harness.files.arrays import STAND_INS

SAFETENSORS = ".safetensors"
MAX_BYTES = 2**30  # of a pickle that is read: 1 GiB

_PLAIN = (type(None), bool, int, float, str)
_TREE = "harness_tree"
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
DAMAGED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError),
    *(MemoryError, OverflowError, RecursionError),
)
"""What unpickling raises for bytes that are no sound pickle."""


def load_pickled_data(path: str | Path) -> dict[str, Any]:
    """Read what PickleDataHook wrote, or MMagic's: the values by name.

    Tensors come back as torch tensors from safetensors, as numpy arrays from pickles. Of a pickle,
    only numpy's arrays, dtypes and scalars and builtin containers are built.

    Raises:
        DataError: if the file is missing or damaged, or a pickle names anything else.
    """
    path = Path(path)
    try:
        if path.suffix == SAFETENSORS:
            return _read_safetensors(path)
        value = DataUnpickler(plain.read(path, MAX_BYTES), path).load()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, *DAMAGED):
        raise DataError(f"{path}: is damaged, or no pickled data: write it anew") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds a {type(value).__name__}, must be a dict of names")
    return value


def numpy_form(value: Any, name: str) -> Any:
    """Return nested data with arrays for tensors; bfloat16, which numpy lacks, as float32.

    Raises:
        TypeError: if there is something else in it; ``name`` tells where.
    """
    return _mapped(value, name, _array)


def torch_form(value: Any, name: str) -> Any:
    """Return nested data with detached copies on the CPU for tensors and arrays, dtypes kept.

    Raises:
        TypeError: if there is something else in it; ``name`` tells where.
    """
    return _mapped(value, name, _tensor)


def to_safetensors(data: Mapping[str, Any]) -> bytes:
    """Return a safetensors file: tensors by dotted names, all else as JSON in its metadata.

    Raises:
        TypeError: as ``torch_form``.
    """
    tensors, tree = in_parts(data)
    return save(tensors, {_TREE: tree})


def in_parts(data: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """Return copies of the tensors on the CPU by dotted names, and all else as JSON.

    Raises:
        TypeError: as ``torch_form``.
    """
    tensors: dict[str, Tensor] = {}
    tree = {name: _described(torch_form(data[name], name), name, tensors) for name in data}
    return tensors, json.dumps(tree)


def of_parts(tensor: Callable[[str], Tensor], tree: str) -> dict[str, Any]:
    """Return the data whose parts ``in_parts`` gave, its tensors by their names.

    Raises:
        ValueError, TypeError, LookupError: the text is not what ``in_parts`` gave.
    """
    return {name: _rebuilt(node, tensor) for name, node in json.loads(tree).items()}


def _array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point() and tensor.element_size() < 4 and tensor.dtype != torch.float16:
        tensor = tensor.float()
    return np.array(tensor.numpy())


def _tensor(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _mapped(value: Any, name: str, leaf: Callable[[Tensor], Any]) -> Any:
    match value:
        case Tensor():
            return leaf(value)
        case np.ndarray() if value.dtype.kind in "biufc":
            return leaf(torch.from_numpy(np.array(value)))
        case np.generic():
            return _mapped(value.item(), name, leaf)
        case dict() if all(type(key) in _PLAIN for key in value):
            return {key: _mapped(v, f"{name}.{key}", leaf) for key, v in value.items()}
        case list() | tuple():
            mapped = [_mapped(v, f"{name}.{i}", leaf) for i, v in enumerate(value)]
            return mapped if isinstance(value, list) else tuple(mapped)
        case _ if type(value) in _PLAIN:
            return value
    raise TypeError(
        f"{name}: a {type(value).__name__} cannot be kept; tensors, numbers, strings, None and "
        "lists, tuples and dicts of them can"
    )


def _described(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Put a value's tensors among ``tensors``; return its shape, for JSON."""
    if isinstance(value, Tensor):
        while name in tensors:  # a key that has a dot in it
            name += "_"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[k, _described(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        parts = [_described(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
        return {type(value).__name__: parts}
    return {"value": value}


def _rebuilt(node: Mapping[str, Any], tensor: Callable[[str], Tensor]) -> Any:
    ((kind, content),) = node.items()
    match kind:
        case "tensor":
            return tensor(content)
        case "dict":
            return {key: _rebuilt(part, tensor) for key, part in content}
        case "list":
            return [_rebuilt(part, tensor) for part in content]
        case "tuple":
            return tuple(_rebuilt(part, tensor) for part in content)
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    with plain.opened(path), safe_open(path, "pt") as file:
        tree = (file.metadata() or {}).get(_TREE)
        if tree is None:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return of_parts(file.get_tensor, tree)


def _allowed() -> Mapping[str, Any]:
    """Return all that a pickle may name, and what stands for it."""
    table: dict[str, Any] = {**STAND_INS, "_codecs.encode": _latin1}
    for builtins in ("__builtin__", "builtins"):  # Python 2's name is that of old protocols
        table |= {f"{builtins}.{kind.__name__}": kind for kind in (set, frozenset, complex)}
        table |= {f"{builtins}.bytes": _bytes, f"{builtins}.bytearray": _bytearray}
    return MappingProxyType(table)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode``, which old protocols name to build bytes."""
    return text.encode("latin1")


def _bytes(content: str | bytes = b"", encoding: str = "latin1") -> bytes:
    """Stand in for ``bytes``, which makes as many zeros as a number says."""
    return _latin1(content) if isinstance(content, str) else b"".join([content])


def _bytearray(content: str | bytes = b"", encoding: str = "latin1") -> bytearray:
    """Stand in for ``bytearray``, likewise."""
    return bytearray(_bytes(content))


def _sparing(content: bytes) -> bytes:
    """Return a pickle as it is, unless it would fill the memory: places are made up to its largest.

    Raises:
        UnpicklingError: it keeps something in a place that no pickle of its length has.
    """
    for opcode, place, _ in pickletools.genops(content):
        if opcode.name in _PUTS and int(place or 0) > len(content):
            raise pickle.UnpicklingError(f"place {place} of {len(content)} bytes")
    return content


class DataUnpickler(pickle.Unpickler):
    """Builds numpy's arrays, numbers, text and builtin containers, and nothing else.

    Args:
        content: the pickle.
        origin: its file, for messages.
        encoding: of Python 2's text.

    Raises:
        DataError: on ``load``, if it names anything else.
    """

    def __init__(self, content: bytes, origin: object, encoding: str = "ASCII") -> None:
        super().__init__(io.BytesIO(_sparing(content)), encoding=encoding)
        self._path = origin
        self._table = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        if f"{module}.{name}" not in self._table:
            found = printable(f"{module}.{name}", 100)
            raise DataError(
                f"{self._path}: names {found}, which could run code: only "
                "numpy arrays and builtin containers are read; take it from a source you trust, as "
                "safetensors"
            )
        return self._table[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what is no part of the file."""
        raise pickle.UnpicklingError("no objects are kept outside the file")
