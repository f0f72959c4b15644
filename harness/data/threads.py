"""The same work on many files, by a few threads, with results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AHEAD = 64
"""Results that may wait to be taken: bounds the memory."""
_T = TypeVar("_T")


def each(work: Callable[[str], _T], names: Sequence[str]) -> Iterator[tuple[str, _T]]:
    """Yield each name with ``work(name)``; the threads go on while a result is being used."""
    waiting: deque[tuple[str, Future[_T]]] = deque()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            for name in names:
                waiting.append((name, pool.submit(work, name)))
                if len(waiting) == _AHEAD:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:  # nobody wants the rest
            for _, future in waiting:
                future.cancel()


def _first(waiting: "deque[tuple[str, Future[_T]]]") -> tuple[str, _T]:
    name, future = waiting.popleft()
    return name, future.result()
