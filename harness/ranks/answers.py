"""What several processes that work on one model tell one another: answers, and errors.

An error that one of them meets is raised in all: none waits for a dead one. What is told are the
errors of users and numbers that are not finite; a process that meets another ends, and with it the
launcher ends the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    get_world_size,
    is_main_process,
)
from torch import distributed

from harness.errors import HarnessError

P = TypeVar("P")
T = TypeVar("T")

_LONG = timedelta(days=30)


def on_main(compute: Callable[[], T], *, long: bool = False) -> T:
    """Compute something small in the main process and return it in every one.

    Args:
        compute: what it does.
        long: it may take longer than a group's timeout, and is waited for all the same.

    Raises:
        HarnessError: in every process, where the main one met it.
        FloatingPointError: likewise.
    """
    with _patient() if long else nullcontext() as group:
        return _told_by_main(compute, group)


def everywhere(compute: Callable[[], T]) -> list[T]:
    """Compute something small in every process; return all answers, in order, in every one.

    Raises:
        HarnessError: in every process, where any met it: that of the first.
        FloatingPointError: likewise.
    """
    return _values(all_gather_object(_answer(compute)))


def combined(part: Callable[[], P], whole: Callable[[list[P]], T]) -> T:
    """Compute a part in every process, of all parts one answer, and return it in every process.

    Args:
        part: its tensors should be ``portable``.
        whole: is given the parts in order, in the main process alone.

    Raises:
        HarnessError: in every process, where any met it: that of the first.
        FloatingPointError: likewise.
    """
    parts = gather_object(_answer(part))
    return on_main(lambda: whole(_values(parts or [])))


def main_first(fill: Callable[[], T]) -> T:
    """Compute in the main process, then in the others, which find its work in a cache.

    They wait for it as long as it takes.

    Raises:
        HarnessError: in every process, where any met it; the others do not try what the main one
            failed at.
    """
    found: list[T] = []
    with _patient() as group:
        _told_by_main(lambda: found.append(fill()), group)
        others = _answer(lambda: None if found else found.append(fill()))
        _values(all_gather_object(others, group))
    return found[0]


class _Answer(NamedTuple):
    """What a process found, or the error that it met."""

    value: Any = None
    error: Exception | None = None


def _answer(compute: Callable[[], Any]) -> _Answer:
    try:
        return _Answer(compute())
    except (HarnessError, FloatingPointError) as error:
        return _Answer(error=error)


def _values(answers: Sequence[_Answer | None]) -> list[Any]:
    """Return what was found; raise the first error, if there is one."""
    told = [answer for answer in answers if answer is not None]
    for answer in told:
        if answer.error is not None:
            raise answer.error
    return [answer.value for answer in told]


def _told_by_main(compute: Callable[[], T], group: distributed.ProcessGroup | None) -> T:
    answers = [_answer(compute) if is_main_process() else None]
    broadcast_object_list(answers, group=group)
    return _values(answers)[0]


@contextmanager
def _patient() -> Iterator[distributed.ProcessGroup | None]:
    """Give all processes a group without a timeout that matters; None where there is one process.

    It is of gloo, which needs no GPU, whatever the usual group is of.
    """
    if get_world_size() == 1:
        yield None
        return
    group = distributed.new_group(backend="gloo", timeout=_LONG)
    try:
        yield group
    finally:
        distributed.destroy_process_group(group)
