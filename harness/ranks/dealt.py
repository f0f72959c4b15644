"""Several processes that evaluate one model: who does what."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from mmengine.dist import all_gather_object, get_comm_device, get_rank, get_world_size
from torch import Tensor, distributed
from torch.distributed import P2POp


def gathered(rows: list[Tensor], block: int = 1) -> Tensor | None:
    """Return the rows of all processes in the order in which they were dealt out; None if none.

    Args:
        rows: this process's, each N..., perhaps none. Its block i is block i * W + r of all, for
            process r of W; processes may have any number each.
        block: rows that are dealt out together.
    """
    own = torch.cat(rows).cpu() if rows else None
    parts = [part for part in all_gather_object(own) if part is not None]
    if not parts:
        return None
    rows_of = [torch.arange(len(part)) for part in parts]
    places = [
        (i // block * len(parts) + rank) * block + i % block for rank, i in enumerate(rows_of)
    ]
    return torch.cat(parts)[torch.cat(places).argsort()]


def dealt(count: int, batch: int) -> list[range]:
    """Deal out 0..count - 1 in whole batches: a range for each process, one after another.

    Numbers of batches differ by one at most; with fewer of them than processes, ranges are empty.
    """
    batches, world = -(-count // batch), get_world_size()
    ends = [min(count, batch * (batches * rank // world)) for rank in range(world + 1)]
    return [range(first, end) for first, end in pairwise(ends)]


def in_pairs(count: int) -> list[int]:
    """Return this process's of 0..count - 1; pairs (0, 1), (2, 3), ... are dealt out in turn."""
    rank, world = get_rank(), get_world_size()
    return sorted([*range(2 * rank, count, 2 * world), *range(2 * rank + 1, count, 2 * world)])


def portable(rows: Sequence[Tensor]) -> list[Tensor]:
    """Return rows as they may be sent: in one piece, on the CPU. A single process's stay."""
    if get_world_size() == 1:
        return [*rows]
    return [torch.cat([*rows]).cpu()] if rows else []


def exchanged(given: Mapping[int, Tensor], room: Mapping[int, Tensor]) -> list[Tensor]:
    """Send tensors to other processes, and return what they send to this one.

    Args:
        given: what each process is sent, by its rank.
        room: for each process that sends something, a tensor of the same shape and type, on the
            device where it is wanted.

    Returns:
        What came, in the order of ``room``.
    """
    if not given and not room:
        return []
    device = get_comm_device()
    filled = {rank: tensor.to(device) for rank, tensor in room.items()}
    ways = [
        *(P2POp(distributed.isend, t.to(device).contiguous(), rank) for rank, t in given.items()),
        *(P2POp(distributed.irecv, tensor, rank) for rank, tensor in filled.items()),
    ]
    for request in distributed.batch_isend_irecv(ways):
        request.wait()
    return [filled[rank].to(tensor.device) for rank, tensor in room.items()]
