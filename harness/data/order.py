"""The order images are shown in: a pure function of (seed, images shown).

Shown image n lies in epoch n // N at place n % N of that epoch's permutation. No state but the
count n is needed to go on, whatever the batch sizes were.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from harness.errors import SpecError
from harness.ranks.shares import Share
from harness.seeding import derive_seed

Indices = NDArray[np.int64]


def indices(seed: int, num_images: int, start: int, count: int) -> Indices:
    """Return which images are shown at places ``start`` to ``start + count - 1``.

    Args:
        seed: the run's seed.
        num_images: N, images of the set.
        start: images shown before.
        count: images to show; may span epochs.

    Returns:
        int64, shape (count,), each in [0, N); every epoch holds each image once.
    """
    return _Epochs(seed, num_images).span(start, count)


class Rows(list[int]):
    """Indices of this process's share of a batch of ``total`` images."""

    def __init__(self, indices: Iterable[int], total: int) -> None:
        super().__init__(indices)
        self.total = total


class ShownImages(Sampler[list[int]]):
    """Endless batches of indices, for a DataLoader's ``batch_sampler`` with ``num_workers=0``.

    A batch may cross the border of two epochs. Iterating again goes on where the last batch ended.

    Args:
        num_images: N, images of the set.
        batch_size: images of the next batches, until ``set_batch_size``.
        seed: the run's seed.
        start: images shown before; resuming there costs no replay.
        divided: where several processes train, each is handed out its ``Rows`` of every batch;
            sizes and counts are those of whole batches.

    Attributes:
        shown: images handed out so far, ``start`` included.

    Raises:
        SpecError: a number is out of range.
    """

    def __init__(
        self, num_images: int, batch_size: int, seed: int, start: int = 0, *, divided: bool = False
    ) -> None:
        if num_images < 1:
            raise SpecError([f"data: got {num_images} images, must be at least 1"])
        if start < 0:
            raise SpecError([f"start: got {start} images shown, must be at least 0"])
        self._epochs = _Epochs(seed, num_images)
        self._divided = divided
        self.shown = start
        self.set_batch_size(batch_size)

    def set_batch_size(self, batch_size: int) -> None:
        """Draw batches of this size from the next one on.

        Raises:
            SpecError: it is below 1.
        """
        if batch_size < 1:
            raise SpecError([f"batch_size: got {batch_size}, must be at least 1"])
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            batch = self._epochs.span(self.shown, self.batch_size)
            self.shown += len(batch)
            yield self._own(batch.tolist())

    def _own(self, batch: list[int]) -> list[int]:
        if not self._divided:
            return batch
        share = Share.own(len(batch))
        return batch if share.alone else Rows(batch[share.rows], share.total)


class _Epochs:
    """Permutations of N images, the last two drawn kept."""

    def __init__(self, seed: int, num_images: int) -> None:
        self._seed = seed
        self._num_images = num_images
        self._kept: dict[int, Indices] = {}

    def span(self, start: int, count: int) -> Indices:
        parts = [np.empty(0, np.int64)]
        while count > 0:
            epoch, place = divmod(start, self._num_images)
            parts.append(self._permutation(epoch)[place : place + count])
            start += len(parts[-1])
            count -= len(parts[-1])
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> Indices:
        if epoch not in self._kept:
            newest = {e: order for e, order in self._kept.items() if e == epoch - 1}
            self._kept = {**newest, epoch: self._drawn(epoch)}
        return self._kept[epoch]

    def _drawn(self, epoch: int) -> Indices:
        # Sorting raw words, since numpy keeps those for ever but not Generator.permutation.
        words = np.random.Philox(derive_seed(self._seed, "data order", epoch))
        return np.argsort(words.random_raw(self._num_images), kind="stable")
