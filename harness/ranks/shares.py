"""A batch of several processes that train one model together: who has what of it.

It is divided by rows. Every draw is drawn whole in every process, which takes its rows of it;
what looks across a batch gathers it; each process derives its part of the mean over all rows, and
the parts are added up. So no number depends on how many processes there are, but for the order of
additions. One process has the whole batch, and nothing of this changes a bit of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import get_dist_info, get_world_size
from torch import Tensor, distributed

from harness.errors import HarnessError

TOTAL = "total"
"""Key of a batch that is divided: rows of the whole, of which ``inputs`` are this process's."""


def shard(total: int, rank: int, ranks: int) -> slice:
    """Return which of ``total`` rows a process has: contiguous, the first ones one more at most.

    Raises:
        HarnessError: if there are fewer rows than processes.
    """
    if total < ranks:
        raise HarnessError(
            f"a batch of {total} images cannot be divided among {ranks} processes: start fewer, "
            "or train larger batches"
        )
    each, more = divmod(total, ranks)
    begin = rank * each + min(rank, more)
    return slice(begin, begin + each + (rank < more))


@dataclass(frozen=True, slots=True)
class Share:
    """The rows of a batch that are this process's.

    Args:
        total: rows of the whole batch.
        rows: which of them; all, where one process has the batch.
    """

    total: int
    rows: slice

    @classmethod
    def whole(cls, total: int) -> "Share":
        """Return all rows of a batch that is not divided, however many processes there are."""
        return cls(total, slice(0, total))

    @classmethod
    def own(cls, total: int) -> "Share":
        """Return this process's rows of a batch that is divided among all."""
        return cls(total, shard(total, *get_dist_info()))

    @classmethod
    def of(cls, batch: Mapping[str, Any]) -> "Share":
        """Return which rows a batch's ``inputs`` are: of ``total``, if it says so, else all."""
        count = len(batch["inputs"])
        if TOTAL not in batch:
            return cls.whole(count)
        share = cls.own(batch[TOTAL])
        assert share.count == count, f"{count} rows, which should be {share}"
        return share

    @property
    def count(self) -> int:
        """How many rows they are."""
        return self.rows.stop - self.rows.start

    @property
    def alone(self) -> bool:
        """Whether they are all rows."""
        return self.count == self.total

    def resized(self, total: int) -> "Share":
        """Return the share of another batch that is divided, or not, as this one is."""
        return Share.whole(total) if self.alone else Share.own(total)

    def take(self, drawn: Tensor) -> Tensor:
        """Return these rows of what was drawn for the whole batch."""
        return drawn if self.alone else drawn[self.rows]

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, which all call it; can be derived again and again."""
        whole: Tensor = rows if self.alone else _Gather.apply(rows, self)
        return whole

    def part(self, mean: Tensor) -> Tensor:
        """Return what a mean over these rows adds to the mean over the whole batch."""
        return mean if self.alone else mean * (self.count / self.total)

    @torch.no_grad()
    def summed(self, part: Tensor) -> Tensor:
        """Return the sum of every process's part; not to be derived."""
        return part if self.alone else _summed(part)

    def totals(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the sums of every process's scalars, by name."""
        if self.alone or not parts:
            return dict(parts)
        return dict(zip(parts, self.summed(torch.stack([*parts.values()])).unbind(), strict=True))


class _Gather(torch.autograd.Function):
    """Rows of one process to those of all; its transpose is ``_Scatter``, and that one's it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, share: Share) -> Tensor:
        ctx.share = share
        # Zeros elsewhere, and a sum: shares of any sizes, by what every backend can do.
        whole = rows.new_zeros(share.total, *rows.shape[1:])
        whole[share.rows] = rows
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Scatter.apply(gradient, ctx.share), None


class _Scatter(torch.autograd.Function):
    """The sum over all processes of what each has for all rows, to the rows of one."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, share: Share) -> Tensor:
        ctx.share = share
        return _summed(whole)[share.rows].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Gather.apply(gradient, ctx.share), None


def _summed(part: Tensor) -> Tensor:
    total = part.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


@torch.no_grad()
def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Put the sum of all processes' gradients in the place of each, in one exchange.

    Args:
        parameters: the same in every process, and the same of them with a gradient.
    """
    if get_world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    bucket = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(bucket)
    sums = bucket.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [s.view_as(g) for s, g in zip(sums, gradients, strict=True)])
