"""What a computation asks of a machine: operations of products and convolutions, bytes of the rest.

Operations are counted where autograd has been passed, so that backward passes, and backward passes
of those, are counted as they are computed.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.bench.timing import seconds

CONVOLUTIONS, PRODUCTS, REST = "convolutions", "matrix products", "all else"
_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm"}
_NO_WORK = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"}
_TRANSPOSED = {"convolution": 6, "convolution_backward": 7}
"""Place of the argument that says whether weights lie as (in, out, ...)."""


@dataclass
class Work:
    """What operations of one class come to.

    Args:
        flop: multiplications and additions.
        bytes: read and written, each operation by itself.
        calls: how many operations.
    """

    flop: int = 0
    bytes: int = 0
    calls: int = 0


class Count(TorchDispatchMode):
    """Counts, while it is entered, the work of each class of operations.

    Attributes:
        work: by class; bytes of views and of memory that is only set aside are none.
        seconds: by class; on a GPU, until operations were launched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Work] = defaultdict(Work)
        self.seconds: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        begin = time.perf_counter()
        out = func(*args, **(kwargs or {}))
        sec = time.perf_counter() - begin
        name = func.overloadpacket.__name__
        if name not in _NO_WORK and not func.is_view:
            work = self.work[_class(name)]
            work.flop += _flop(name, args, out)
            work.bytes += sum(_bytes(func, args, kwargs or {}, out))
            work.calls += 1
            self.seconds[_class(name)] += sec
        return out


def convolution_flop(inputs: Tensor, weight: Tensor, outputs: Tensor, transposed: bool) -> int:
    """Return the operations of a convolution, of groups or not; each of its gradients has as many.

    Args:
        inputs: N C HW.
        weight: (out, in / groups, h, w), or (in, out / groups, h, w) of a transposed one.
        outputs: N C' H'W'.
        transposed: see weight.
    """
    # Every input pixel of a transposed one, else every output pixel, meets one filter.
    return 2 * (inputs if transposed else outputs).numel() * math.prod(weight.shape[1:])


def _class(name: str) -> str:
    if name in _TRANSPOSED:
        return CONVOLUTIONS
    return PRODUCTS if name in _PRODUCTS else REST


def _flop(name: str, args: tuple[Any, ...], out: Any) -> int:
    if name == "convolution":
        return convolution_flop(args[0], args[1], out, args[6])
    if name == "convolution_backward":
        gradient, inputs, weight = args[:3]
        return sum(args[10][:2]) * convolution_flop(inputs, weight, gradient, args[7])
    if name in _PRODUCTS:
        right = args[2] if name in ("addmm", "baddbmm") else args[1]
        return 2 * out.numel() * right.shape[-2]
    return 0


def _bytes(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Iterator[int]:
    for argument, value in zip(func._schema.arguments, args, strict=False):
        written = argument.alias_info is not None and argument.alias_info.is_write
        yield (1 + written) * sum(map(_size, tree_leaves(value)))
    yield sum(map(_size, tree_leaves(kwargs)))
    aliases = [returned.alias_info is not None for returned in func._schema.returns]
    if not any(aliases):  # what was written in place has been counted
        yield sum(map(_size, tree_leaves(out)))


def _size(value: Any) -> int:
    """Return the bytes of a tensor's own memory: what it is expanded over is there once."""
    if not isinstance(value, Tensor):
        return 0
    sides = (n for n, stride in zip(value.shape, value.stride(), strict=True) if stride)
    return math.prod(sides) * value.element_size()


def ceilings(device: torch.device) -> tuple[float, float]:
    """Measure what this machine can do, with the threads as they are set.

    Returns:
        Operations a second of the fastest of some products and convolutions in float32, and bytes
        a second of the fastest of some copies, in caches too.
    """

    def best(action: Any, work: int) -> float:
        action()
        calls = max(1, round(0.03 / max(seconds(action), 1e-7)))
        return max(work / seconds(action, calls) for _ in range(5))

    rates = []
    for side in (256, 512, 1024):
        square = torch.randn(side, side, device=device)
        rates.append(best(lambda m=square: m @ m, 2 * side**3))
    for channels, side in ((32, 32), (128, 32), (256, 16)):
        x = torch.randn(16, channels, side, side, device=device)
        weight = torch.randn(channels, channels, 3, 3, device=device)
        flop = convolution_flop(x, weight, x, transposed=False)
        rates.append(best(lambda x=x, w=weight: torch.conv2d(x, w, padding=1), flop))
    copies = []
    for size in (2**14, 2**17, 2**20, 2**24):
        source = torch.randn(size, device=device)
        target = torch.empty_like(source)
        copies.append(best(lambda a=source, b=target: b.copy_(a), 8 * size))
    return max(rates), max(copies)
