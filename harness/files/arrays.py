"""Numpy's arrays in pickles of unknown origin, built by stand-ins that check what they are told.

Numpy's own functions believe a pickle: a dtype whose flags lie makes pointers of a file's bytes,
and a shape alone makes an array larger than any memory. Here an array is of numbers, and of
exactly the bytes that the file holds.
"""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16)")


class Kind:
    """Stands for ``numpy.dtype``: a kind of number and an order of bytes, nothing else.

    Raises:
        ValueError: it is no kind of number.
    """

    def __init__(self, name: object, *flags: object) -> None:
        if not (isinstance(name, str) and _NUMBERS.fullmatch(name)):
            raise ValueError(f"{name!r} is no kind of number")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class Array(np.ndarray):
    """A numpy array out of a pickle; pickles as any other."""

    def __new__(cls, *told: object) -> "Array":
        """Return an empty array, whatever is told."""
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: Any) -> None:
        """Take shape and bytes.

        Raises:
            ValueError: they do not fit, or are no numbers.
        """
        version, shape, kind, by_columns, content = state
        if isinstance(content, str):  # bytes of Python 2
            content = content.encode("latin1")
        fine = isinstance(kind, Kind) and isinstance(content, bytes | bytearray)
        if not fine or min(shape, default=0) < 0 or len(shape) > 32:
            raise ValueError("an array is not made of a shape, numbers and bytes")
        if math.prod(shape) * kind.dtype.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
        checked: Any = (version, shape, kind.dtype, bool(by_columns), bytes(content))
        super().__setstate__(checked)

    def __reduce__(self) -> Any:
        return np.array(self, subok=False).__reduce__()


def reconstruct(kind: object, shape: object, code: object) -> Array:
    """Stand in for numpy's ``_reconstruct``: an empty array, which its state then fills."""
    return Array()


def from_buffer(content: bytes, kind: Kind, shape: tuple[int, ...], order: str) -> Array:
    """Stand in for numpy's ``_frombuffer``, by which protocol 5 builds arrays."""
    array = Array()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


def scalar(kind: Kind, content: bytes) -> Any:
    """Stand in for numpy's ``scalar``."""
    return from_buffer(content, kind, (), "C")[()]


def _stand_ins() -> Mapping[str, Any]:
    table: dict[str, Any] = {"numpy.ndarray": Array, "numpy.dtype": Kind}
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray._reconstruct"] = reconstruct
        table[f"{core}.multiarray.scalar"] = scalar
        table[f"{core}.numeric._frombuffer"] = from_buffer
    return MappingProxyType(table)


STAND_INS = _stand_ins()
"""What stands for each of numpy's names in a pickle, by numpy 1's names and numpy 2's."""
