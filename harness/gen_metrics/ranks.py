"""Several processes that evaluate one model: who does what, and what all of them hear."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from torch import Tensor

from harness.errors import DataError, HarnessError

T = TypeVar("T")


def on_main(compute: Callable[[], T]) -> T:
    """Compute something small in the main process and return it in every one.

    Raises:
        HarnessError: in every process, where the main one met it: none waits for a dead one.
    """
    answer: list[Any] = [None, None]
    failure: HarnessError | None = None
    if is_main_process():
        try:
            answer[0] = compute()
        except HarnessError as error:
            failure, answer[1] = error, str(error)
    broadcast_object_list(answer)
    if failure is not None:
        raise failure
    if answer[1] is not None:
        raise DataError(answer[1])
    return answer[0]


def gathered(rows: list[Tensor]) -> Tensor | None:
    """Return the rows of all processes in the order in which they were dealt out; None if none.

    Args:
        rows: this process's, each N..., perhaps none. Row i of process r of W is row i * W + r of
            all; processes may have any number each.
    """
    own = torch.cat(rows).cpu() if rows else None
    parts = [part for part in all_gather_object(own) if part is not None]
    if not parts:
        return None
    places = torch.cat([torch.arange(len(p)) * len(parts) + r for r, p in enumerate(parts)])
    return torch.cat(parts)[places.argsort()]
