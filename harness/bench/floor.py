"""How fast a step could be: its operations over the rate that this machine computes at."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.bench.timing import seconds

_REPEATS, _SIDE = 30, 1024


class _Counting(TorchDispatchMode):
    """Adds up the floating point operations of matrix products and convolutions."""

    flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        return out


def flops(action: Callable[[], object]) -> int:
    """Return the operations of matrix products and convolutions in a call, two a product."""
    with _Counting() as counting:
        action()
    return counting.flops


def ceilings(device: str) -> Mapping[str, float]:
    """Return the best rates of large products here, in float32 operations a second, by kind."""
    a = torch.randn(_SIDE, _SIDE, device=device)
    x = torch.randn(16, 64, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device=device)
    kinds: dict[str, Callable[[], object]] = {
        "matrix product": lambda: a @ a,
        "3x3 convolution": lambda: functional.conv2d(x, weight, padding=1),
    }
    return {name: flops(kind) / _best(kind) for name, kind in kinds.items()}


def _best(action: Callable[[], object]) -> float:
    end = time.perf_counter() + 2
    times = [seconds(action) for _ in range(_REPEATS) if time.perf_counter() < end]
    return min(times)
