"""Processes that measure side by side, since runs side by side slow each other down."""

import time
from collections.abc import Callable
from multiprocessing.context import BaseContext

import torch

_MOST_PARTS = 512


class Together:
    """What the processes of one measurement have in common; each is given it when it is started.

    All ask for the same parts in the same order.

    Args:
        context: of the processes.
        count: of them.
    """

    def __init__(self, context: BaseContext, count: int) -> None:
        self._count = count
        self._barrier = context.Barrier(count)
        self._parts = context.Array("d", _MOST_PARTS)
        self._part = -1

    def largest(self, value: float) -> float:
        """Wait for all, and return the largest value, of at least 0, that any of them gave."""
        part = self._next()
        with self._parts.get_lock():
            self._parts[part] = max(self._parts[part], value)
        self._barrier.wait()
        return float(self._parts[part])

    def repeat(
        self, action: Callable[[], object], enough: Callable[[list[float]], bool]
    ) -> list[float]:
        """Do something again and again until each process has enough of it, and time it.

        All begin together; who has enough goes on as long as another has not, so that each is timed
        beside as many others as there are.

        Args:
            action: what is timed.
            enough: whether these seconds are.

        Returns:
            The seconds of each time, at least one.
        """
        part, told = self._next(), False
        times: list[float] = []
        self._barrier.wait()
        while self._parts[part] < self._count:
            times.append(seconds(action))
            if not told and enough(times):
                told = True
                with self._parts.get_lock():
                    self._parts[part] += 1
        return times

    def _next(self) -> int:
        self._part += 1
        assert self._part < _MOST_PARTS
        return self._part


def seconds(action: Callable[[], object]) -> float:
    """Return the seconds of a call, until a GPU has done what it was given."""
    begin = time.perf_counter()
    action()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - begin
