"""Pickles, checkpoints and safetensors that are not what they say: what a user may be sent."""

import builtins
import io
import json
import os
import pickle
import struct
import subprocess
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import torch

_RECONSTRUCT = np.zeros(1).__reduce__()[0]


class Calls:
    """Pickles as a call of a function, with a state for what it returns."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


def running(canary: Path) -> dict[str, object]:
    """Return objects that touch the canary when they are unpickled, by how."""
    command, code = f"touch {canary}", f"open({str(canary)!r}, 'w')"
    path = str(canary)
    return {
        "os.system": Calls(os.system, command),
        "os.system in a list in a dict": {"a": [{"b": (Calls(os.system, command),)}]},
        "os.system as a key": {Calls(os.popen, command): 1},
        "subprocess.run": Calls(subprocess.run, ["touch", path]),
        "subprocess.Popen": Calls(subprocess.Popen, ["touch", path]),
        "builtins.eval": Calls(eval, code),
        "builtins.exec": Calls(exec, code),
        "builtins.open": Calls(open, path, "w"),
        "builtins.__import__": Calls(__import__, "antigravity"),
        "getattr of a module": Calls(getattr, Calls(__import__, "os"), "system"),
        "getattr of a class": Calls(getattr, dict, "__init_subclass__"),
        "breakpoint": Calls(builtins.breakpoint),
        "torch.load of another file": Calls(torch.load, path),
        "torch.save over a file": Calls(torch.save, 1, path),
        "torch.hub": Calls(torch.hub.load, "owner/name", "model"),
        "numpy's reader of files": Calls(np.fromfile, path),
        "numpy's loader of pickles": Calls(np.load, path, None, True),
        "pickle itself": Calls(pickle.loads, pickle.dumps(Calls(os.system, command))),
        "a whole module of torch": torch.nn.Linear(1, 1),
        "os.unlink": Calls(os.unlink, path),
    }


def filling() -> dict[str, object]:
    """Return objects of a few bytes that fill the memory, or lie about it, by how."""
    kind = Calls(np.dtype, "f8", False, True)
    pointers = Calls(np.dtype, "O8", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    flags = Calls(np.dtype, "f8", False, True, state=(3, "<", None, None, None, -1, -1, 63))
    return {
        "a bytearray of 128 MiB": Calls(bytearray, 2**27),
        "bytes of 128 MiB": Calls(bytes, 2**27),
        "an array of 2^60 numbers": Calls(np.ndarray, (2**60,), kind),
        "an array of more numbers than bytes": _array((2**40,), kind, b"x" * 8),
        "an array of fewer than no numbers": _array((-1,), kind, b"x" * 8),
        "an array of 40 dimensions": _array((1,) * 40, kind, b"x" * 8),
        "pointers made of bytes": _array((4,), pointers, b"A" * 32),
        "numbers taken for pointers": _array((4,), flags, [1.0, 2.0, 3.0, 4.0]),
        "an array of objects": np.array([[], {}], object),
        "a dtype of 1 GiB": np.zeros(0, "V1073741824"),
        "a record": np.zeros(1, [("a", "f8")]),
    }


def _array(shape, kind, content):
    return Calls(_RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, shape, kind, False, content))


@cache
def streams() -> dict[str, bytes]:
    """Return streams of opcodes that are no sound pickle, by what they are."""
    whole = pickle.dumps({"noise_weights": [1.0], "fixed_noises": [np.zeros((1, 3, 2, 2))]})
    return {
        "empty": b"",
        "a stop alone": b".",
        "zeros": bytes(999),
        "text": b"noise_weights: [1]\n",
        "a list": pickle.dumps([1, 2]),
        "a number": pickle.dumps(7),
        "a protocol of the future": b"\x80\xff" + whole[2:],
        "cut off": whole[: len(whole) // 2],
        "no stop": whole[:-1],
        "100,000 lists in each other": b"\x80\2" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "100,000 tuples in each other": b"\x80\2)" + b"\x85" * 100_000 + b".",
        "100,000 marks": b"\x80\2" + b"(" * 100_000 + b".",
        "a place of 2^32 - 1 in the memo": b"\x80\2}r\xff\xff\xff\xff.",
        "a place of 2^29 in the memo": b"\x80\2}r\0\0\0\x20.",
        "a place of 10^9 in words": b"}p1000000000\n.",
        "a place of 2^63 in words": b"}p9223372036854775808\n.",
        "what was never kept": b"\x80\2}h\7.",
        "a number of 2 GiB": b"\x80\2\x8b\xff\xff\xff\x7f\1.",
        "a number of 10^6 digits": b"L" + b"9" * 1_000_000 + b"L\n.",
        "bytes of 2^63": b"\x80\4\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "text of 4 GiB": b"\x80\2X\xff\xff\xff\xffabc.",
        "a frame of 2^63": b"\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
        "an extension": b"\x80\2\x82\1.",
        "an object kept elsewhere": b"\x80\2X\1\0\0\0xQ.",
        "a call of what is no function": b"\x80\2K\1)R.",
        "a state for a number": b"\x80\2K\1}b.",
        "itself": b"\x80\2]q\0h\0a.",
    }


def zip_checkpoint(parts: dict[str, bytes], method=zipfile.ZIP_STORED) -> bytes:
    """Return a file in torch's newer format of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def saved(content: object, zipped: bool = True) -> bytes:
    """Return what torch.save makes of it."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a file of a header, written as JSON unless it is bytes, and its data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@cache
def broken_safetensors() -> dict[str, bytes]:
    """Return files that are no sound safetensors, by what they are."""
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    data = bytes(8)
    return {
        "a header of 2^63 bytes": safetensors({"a": one}, data, 2**63),
        "a header of 2^64 - 1 bytes": safetensors({"a": one}, data, 2**64 - 1),
        "a header longer than the file": safetensors({"a": one}, data, 9999),
        "a header of 0 bytes": safetensors({"a": one}, data, 0) + b"{",
        "a header cut off": safetensors({"a": one}, data)[:20],
        "no data": safetensors({"a": one}),
        "data of half the length": safetensors({"a": one}, data[:4]),
        "more data than is named": safetensors({"a": one}, data * 2),
        "two tensors upon each other": safetensors({"a": one, "b": one}, data),
        "offsets the wrong way round": safetensors({"a": {**one, "data_offsets": [8, 0]}}, data),
        "offsets beyond 2^63": safetensors({"a": {**one, "data_offsets": [0, 2**63]}}, data),
        "offsets below 0": safetensors({"a": {**one, "data_offsets": [-8, 0]}}, data),
        "a hole between tensors": safetensors(
            {"a": one, "b": {**one, "data_offsets": [16, 24]}}, data * 3
        ),
        "a shape larger than its bytes": safetensors({"a": {**one, "shape": [2**40]}}, data),
        "a shape whose product wraps": safetensors(
            {"a": {**one, "shape": [2**32, 2**32, 2]}}, data
        ),
        "a shape below 0": safetensors({"a": {**one, "shape": [-2]}}, data),
        "a kind of number that is none": safetensors({"a": {**one, "dtype": "PICKLE"}}, data),
        "a name twice": safetensors(b'{"a":%b,"a":%b}' % ((json.dumps(one).encode(),) * 2), data),
        "metadata that is no text": safetensors({"__metadata__": {"a": 1}, "a": one}, data),
        "NaN in the metadata": safetensors(b'{"__metadata__":{"a":NaN}}'),
        "JSON in JSON, 100,000 deep": safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "a list for a header": safetensors(b"{[]}"),
        "a header that is no text": safetensors(b"{\xff\xfe\xfd}"),
    }


def wrongly_sized(entries) -> dict[str, object]:
    """Return checkpoints whose storages and shapes do not fit, by how."""
    storage = torch.zeros(4).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    rebuild = torch._utils._rebuild_tensor_v2

    def laid(offset, size, stride):
        call = Calls(rebuild, typed, offset, size, stride, False, OrderedDict())
        return {"state_dict": {**dict.fromkeys(entries, call)}}

    return {
        "a tensor larger than its storage": laid(0, (2**40,), (1,)),
        "a tensor of one number 2^40 times": laid(0, (2**40,), (0,)),
        "a tensor that begins behind its storage": laid(2**40, (4,), (1,)),
        "a tensor that begins before its storage": laid(-4, (4,), (1,)),
        "a tensor of negative size": laid(0, (-4,), (1,)),
        "a tensor of more numbers than are countable": laid(0, (2**62, 2**62), (1, 1)),
    }
