"""Averages that follow the same network, updated in one pass over it.

An update reads theta and the shadow and writes the shadow: of k shadows one after another, 3 k
times the weights' bytes. Where a piece of theta stays in the cache until all k have read it, memory
moves 1 + 2 k times the weights' bytes instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from harness.ema.averaging import Average, Group

PIECE = 1 << 16
"""Numbers of a piece for each thread: 256 KiB of float32, so that theta's and a shadow's fit a
core's own cache. A power of two, so that vectors and their remainders are those of whole tensors;
and torch gives a thread at least 2^15 numbers, so that every one has work."""

Weights = tuple[float, float]
"""w of trained parameters and of other floating-point entries, each in [0, 1]."""


class Together:
    """Averages updated as one; each becomes, bit for bit, what its own ``update`` would make it.

    On the CPU those of the same tensors and dtype go through them piece by piece. Elsewhere, and
    where only one is due, each is updated by itself: a GPU's launches are what has to be few.

    Args:
        averages: of any networks. The tensors are theirs, and so is what they say of tensors that
            are given other memory.
    """

    def __init__(self, averages: Sequence[Average]) -> None:
        self._averages = tuple(averages)
        passes: dict[object, _Pass] = {}
        for index, average in enumerate(averages):
            for group in average.groups:
                key = group.old[0].dtype, *map(_place, group.new)
                passes.setdefault(key, _Pass()).groups[index] = group
        self._passes = list(passes.values())

    @torch.no_grad()
    def update(self, weights: Sequence[Weights | None]) -> None:
        """Apply p <- p + w (theta - p) to every entry of the averages that are due.

        Args:
            weights: of each average; None where it is not due.
        """
        due = {index: pair for index, pair in enumerate(weights) if pair is not None}
        for one in self._passes:
            one.update(due)
        for index in due:
            self._averages[index].copy_integers()


@dataclass
class _Pass:
    """Groups of the same entries of one network, by the number of their average."""

    groups: dict[int, Group] = field(default_factory=dict)

    def update(self, due: dict[int, Weights]) -> None:
        shares = {i: due[i][not group.trained] for i, group in self.groups.items() if i in due}
        if len(shares) < 2 or not self._joinable:
            for index, weight in shares.items():
                self.groups[index].update(weight)
            return
        places = [place for place, index in enumerate(self.groups, 1) if index in due]
        old = [piece[place] for piece in self._pieces for place in places]
        new = [piece[0] for piece in self._pieces for _ in places]
        torch._foreach_lerp_(old, new, [*shares.values()] * len(self._pieces))

    @cached_property
    def _joinable(self) -> bool:
        group = next(iter(self.groups.values()))
        new, old = group.new[0], group.old[0]
        return new.device.type == old.device.type == "cpu" and new.dtype == old.dtype

    @cached_property
    def _pieces(self) -> list[tuple[Tensor, ...]]:
        """Pieces of theta, each with the same piece of every shadow."""
        news = next(iter(self.groups.values())).new
        olds = zip(*(group.old for group in self.groups.values()), strict=True)
        size = PIECE * torch.get_num_threads()
        return [
            piece
            for new, old in zip(news, olds, strict=True)
            for piece in _split((new, *old), size)
        ]


def _place(tensor: Tensor) -> object:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _split(tensors: tuple[Tensor, ...], size: int) -> list[tuple[Tensor, ...]]:
    """Return the same pieces of each, in the order of memory; whole where they lie differently."""
    order = _order(tensors[0])
    laid = [tensor.permute(order) for tensor in tensors]
    if not all(tensor.is_contiguous() for tensor in laid):
        return [tensors]
    return list(zip(*(tensor.view(-1).split(size) for tensor in laid), strict=True))


def _order(tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions, the one of the largest steps first; those of size 1 lie anywhere."""
    sizes, steps = tensor.shape, tensor.stride()
    return tuple(sorted(range(tensor.dim()), key=lambda d: (sizes[d] == 1, -steps[d])))
