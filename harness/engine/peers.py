"""What the processes that train one run tell one another beside the arithmetic."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import IntEnum
from typing import Any

import torch
from mmengine.dist import get_dist_info
from torch import Tensor, distributed

from harness.errors import Diverged, HarnessError
from harness.interrupts import GRACE_SEC

PATIENCE = timedelta(days=1)
"""How long a process waits: the main one may prepare for hours; torchrun notices who has died."""


_Told = tuple[str, int | None, str]
"""An error's text and, of a divergence, its iteration and what was not finite."""


class Word(IntEnum):
    """What a process has to say between two iterations; the gravest word counts."""

    GO = 0
    SAVE = 1
    STOP = 2
    FAILED = 3


class Elsewhere(HarnessError):
    """What ended a run was met in another of its processes."""


class Peers:
    """The processes of a run, for one of them; a process alone agrees with itself.

    Losses, weights and decisions are the same in all, so that most of what ends a run ends it in
    each at one place. What only one can meet, such as a signal or a full disk, it tells the others
    where they ask: between two iterations, and at the end. They talk in a group of their own, on
    the CPU, so that nothing is taken for a gradient and no GPU is waited for.

    Made in every process at once.
    """

    def __init__(self) -> None:
        self.rank, self.count = get_dist_info()
        self.lost = False
        """Whether others have ended, or stand still: nothing more can be agreed on."""
        several = self.count > 1
        self._group = distributed.new_group(backend="gloo", timeout=PATIENCE) if several else None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def facts(self) -> dict[str, Any]:
        """What machine.json says of them; nothing of a process alone."""
        if self.count == 1:
            return {}
        backend = "nccl" if "nccl" in distributed.get_backend() else "gloo"
        return {"ranks": self.count, "backend": backend}

    def agreed(self, word: Word) -> Word:
        """Return the gravest word of all, to which each says its own.

        Raises:
            Elsewhere, Diverged: if another process has failed.
        """
        if self.count == 1:
            return word
        gravest = self._gravest(word)
        if gravest is Word.FAILED:
            raise next(filter(None, self._told(None)))
        return gravest

    def leave(self) -> None:
        """End the group, after which nothing can be agreed on; all do so, or none comes back.

        Its threads end with it. One that still held a tensor when Python ends would abort the
        process, and torchrun would end the others for that.
        """
        self._group = None
        if distributed.is_initialized():
            distributed.destroy_process_group()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Inside, what ends the work of one process ends that of all, each with an error.

        An interrupt is not told of: the starter sends it to all, and ends all where one ends.
        """
        try:
            yield
        except (Elsewhere, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever it is, the others have to hear of it
            self._tell(error)
            raise
        self.agreed(Word.GO)

    def require_same(self, values: Mapping[str, Any], iteration: int) -> None:
        """See to it that all processes have the same tensors and numbers, by a digest of each.

        Args:
            values: any nesting of dicts and sequences.
            iteration: iterations done.

        Raises:
            HarnessError: in every process; names the first one that differs.
        """
        if self.count == 1:
            return
        named = dict(_leaves(values, ""))
        own = torch.stack([_digest(value) for value in named.values()])
        extremes = torch.cat([own, -own])
        distributed.all_reduce(extremes, distributed.ReduceOp.MAX, self._group)
        largest, smallest = extremes.chunk(2)
        differing = (largest != -smallest).nonzero()
        if len(differing):
            raise HarnessError(
                f"{[*named][int(differing[0])]} is not the same in all processes after iteration "
                f"{iteration}: their libraries or processors differ, or a hook changes it in one; "
                "the checkpoints before are sound"
            )

    def _tell(self, error: Exception) -> None:
        if self.count == 1 or self.lost:
            return
        try:
            self._gravest(Word.FAILED, wait_sec=GRACE_SEC)
            self._told(error)
        except RuntimeError:  # they wait elsewhere for this process, or are no more
            self.lost = True

    def _gravest(self, word: Word, wait_sec: float | None = None) -> Word:
        gravest = torch.tensor(int(word))
        work = distributed.all_reduce(gravest, distributed.ReduceOp.MAX, self._group, async_op=True)
        assert work is not None
        work.wait() if wait_sec is None else work.wait(timedelta(seconds=wait_sec))
        return Word(int(gravest))

    def _told(self, error: Exception | None) -> list[HarnessError | None]:
        """Return what each process met, as another one may raise it."""
        own: _Told | None = None
        if isinstance(error, Diverged):
            own = str(error), error.iteration, error.what
        elif error is not None:
            kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
            own = f"{kind}{error}", None, ""
        all_told: list[Any] = [None] * self.count
        distributed.all_gather_object(all_told, own, self._group)
        return [_as_error(rank, told) for rank, told in enumerate(all_told)]


def _as_error(rank: int, told: _Told | None) -> HarnessError | None:
    if told is None:
        return None
    text, iteration, what = told
    if iteration is not None:
        return Diverged(iteration, what)
    return Elsewhere(*(f"{line} (process {rank})" for line in text.split("\n")))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors and numbers of a nesting by their dotted names."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, bool | int | float):
        yield name, torch.tensor(float(value), dtype=torch.float64)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{name}.{index}")


def _digest(value: Tensor) -> Tensor:
    """Return a number of a tensor's bits and their places, int64 on the CPU."""
    flat = value.detach().reshape(-1)
    bits = flat.view(torch.uint8 if flat.element_size() % 4 else torch.int32).long()
    places = torch.arange(1, 2 * len(bits), 2, device=bits.device)
    return (bits * places).sum().cpu()
