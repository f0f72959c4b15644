"""Images in batches of a fixed size, whatever sizes they arrive in and in whichever process.

Float32 features depend a little on the batch that they are computed in. So batches are those of one
process to the image: where one begins among the images of a process, that process is sent the rest
of it by those which drew it.
"""

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import get_rank
from torch import Tensor

from harness.ranks.dealt import exchanged


class Rebatched:
    """Hands images on in whole batches, and a shorter one at the end.

    Args:
        look: is given the number among all images of a batch's first, and the batch.
        size: images of a batch.
        shares: which images each process draws, one range after another; None where this process
            draws all there are.
    """

    def __init__(
        self, look: Callable[[int, Tensor], None], size: int, shares: Sequence[range] | None = None
    ) -> None:
        self._hand_on = look
        self._size = size
        self._shares = shares or [range(0)]
        own = self._shares[get_rank() if shares else 0]
        self._next = -(-own.start // size) * size
        self._missing = self._next - own.start
        """Images still to come of a batch that began in another process."""
        self._head: list[Tensor] = []
        self._waiting: list[Tensor] = []

    def update(self, images: Tensor) -> None:
        """Add images NCHW, any N, in order."""
        head, images = images[: self._missing], images[self._missing :]
        if len(head):
            self._missing -= len(head)
            self._head.append(head)
        self._waiting.append(images)
        if sum(map(len, self._waiting)) < self._size:
            return
        *whole, rest = _batches(torch.cat(self._waiting), self._size)
        for batch in whole:
            self._look(batch)
        self._waiting = [rest]

    def end(self) -> None:
        """Hand on what is left; every process has to call it, once, after its last image."""
        waiting = [*self._waiting, *self._of_others()]
        self._waiting = []
        if sum(map(len, waiting)):
            self._look(torch.cat(waiting))

    def _look(self, batch: Tensor) -> None:
        self._hand_on(self._next, batch)
        self._next += len(batch)

    def _of_others(self) -> list[Tensor]:
        """Exchange beginnings of shares with the processes that look at them."""
        ways = _ways(self._shares, self._size)
        rank = get_rank()
        given = {to: torch.cat(self._head) for sender, to, _ in ways if sender == rank}
        room = {
            sender: self._waiting[-1].new_empty(count, *self._waiting[-1].shape[1:])
            for sender, to, count in ways
            if to == rank
        }
        return exchanged(given, room)


def _ways(shares: Sequence[range], size: int) -> list[tuple[int, int, int]]:
    """Return sender, receiver and number of images for each beginning that is no batch's own."""
    found = []
    for sender, share in enumerate(shares):
        begun = share.start // size * size
        count = min(begun + size, share.stop) - share.start
        if begun < share.start and count > 0:
            to = next(rank for rank, other in enumerate(shares) if begun in other)
            found.append((sender, to, count))
    return found


def _batches(images: Tensor, size: int) -> list[Tensor]:
    """Divide images into whole batches and a last, shorter, perhaps empty one."""
    whole = len(images) // size * size
    return [*images[:whole].split(size), images[whole:]]
