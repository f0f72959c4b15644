"""PGGANFetchDataHook: batches of the scale and size that growth says, at every iteration."""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any, Protocol, runtime_checkable

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from harness.data.order import ShownImages
from harness.registry import HOOKS
from harness.structures import batch_images, unwrapped

_LATEST = 2**16
"""Indices that workers may have fetched ahead, at the most."""


@runtime_checkable
class Growing(Protocol):
    """A model that knows what its next batch has to be."""

    @property
    def next_scale(self) -> int:
        """Resolution of the next batch, in pixels."""

    @property
    def next_batch_size(self) -> int:
        """Images in the next batch."""


@runtime_checkable
class OwnBatchSizes(Protocol):
    """A dataset that says how large batches of its current scale are."""

    @property
    def samples_per_gpu(self) -> int:
        """Images in a batch."""


@HOOKS.register_module()
class PGGANFetchDataHook(Hook):
    """Keep the training dataloader in step with a model that grows.

    The loader is changed after an iteration, before the next batch is fetched, so that no batch of
    an earlier scale reaches ``train_step``; and once before the first, so that the first scale has
    its own batch size: the dataset's ``samples_per_gpu`` where it has one, else the model's. Worker
    processes of an earlier scale are ended.

    Args:
        interval: iterations between looks at the model; -1 never looks.

    Raises:
        TypeError: if the model does not grow, the loop goes by epochs, or batches of the loader
            cannot be resized.
    """

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval
        self._used = 0
        self._grows: Growing | None = None

    def before_train(self, runner: Runner) -> None:
        """Fit the loader to the first batch, of a new or a resumed run."""
        self._used = 0
        self._fit(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Fit the loader to the next batch."""
        self._used += batch_images(data_batch)
        if self.interval > 0 and self.every_n_train_iters(runner, self.interval):
            self._fit(runner)

    def update_dataloader(
        self, dataloader: DataLoader[Any], curr_scale: int, batch_size: int | None = None
    ) -> DataLoader[Any] | None:
        """Return a loader of the given scale, all other options kept; None if it fits already.

        Args:
            dataloader: the loader in use; its dataset has ``update_annotations(scale) -> bool``.
            curr_scale: resolution in pixels.
            batch_size: images in a batch, unless the dataset has ``samples_per_gpu``; by default as
                it is.

        Raises:
            TypeError: if the loader has a batch sampler other than ShownImages.
        """
        changed = dataloader.dataset.update_annotations(curr_scale)  # type: ignore[attr-defined]
        if isinstance(dataloader.dataset, OwnBatchSizes):
            batch_size = dataloader.dataset.samples_per_gpu
        order = dataloader.batch_sampler
        if isinstance(order, ShownImages):
            if batch_size is not None and batch_size != order.batch_size:
                order.set_batch_size(batch_size)
                changed = True
        elif type(order) is BatchSampler and dataloader.batch_size is not None:
            batch_size = batch_size or dataloader.batch_size
            changed = changed or batch_size != dataloader.batch_size
            changed = changed or not isinstance(dataloader.sampler, Continued)
        else:
            raise TypeError(
                f"PGGANFetchDataHook: batches of {type(order).__name__} cannot be resized: give "
                "the dataloader a batch_size and a sampler, or ShownImages"
            )
        # A loader without workers reads scale and size when it fetches: nothing to build anew.
        if not changed or (isinstance(order, ShownImages) and dataloader.num_workers == 0):
            return None
        return _rebuilt(dataloader, batch_size)

    def _fit(self, runner: Runner) -> None:
        model = self._growing(runner.model)
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop):
            raise TypeError(
                f"PGGANFetchDataHook: {type(loop).__name__} keeps the loader that its epoch began "
                "with: train by an IterBasedTrainLoop"
            )
        new = self.update_dataloader(loop.dataloader, model.next_scale, model.next_batch_size)
        if new is not None:
            _end_workers(loop.dataloader, loop.dataloader_iterator._iterator)
            if isinstance(new.sampler, Continued) and new.batch_size is not None:
                new.sampler.begin(self._used, new.batch_size if new.drop_last else 1)
            self._used = 0
            loop.dataloader = new
            loop.dataloader_iterator = type(loop.dataloader_iterator)(new)

    def _growing(self, model: Any) -> Growing:
        inner: Any = unwrapped(model)
        if inner is not self._grows:  # a protocol is slow to ask for, at every iteration
            if not isinstance(inner, Growing):
                raise TypeError(
                    f"PGGANFetchDataHook: {type(inner).__name__} does not grow (it has no "
                    "next_scale and next_batch_size): leave the hook out"
                )
            self._grows = inner
        return self._grows


class Continued(Sampler[int]):
    """A sampler whose epoch goes on in the next loader.

    A generator would be closed together with the loader's iterator; this is a plain iterator, and
    what workers fetched ahead in vain can be given again.

    Args:
        sampler: yields the indices of an epoch.
    """

    def __init__(self, sampler: Any) -> None:
        if isinstance(sampler, InfiniteSampler):
            # It has one generator for good, which the loader in use will close.
            sampler = InfiniteSampler(sampler.dataset, sampler.shuffle, sampler.seed)
        self._sampler = sampler
        self._epochs = 0
        self._indices: Iterator[int] | None = None
        self._latest: deque[int] = deque(maxlen=_LATEST)
        self._given = 0
        self._whole = 1

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[int]:
        if self._indices is None:
            if isinstance(self._sampler, DefaultSampler):
                self._sampler.set_epoch(self._epochs)
            self._indices = iter(self._sampler)
        return self

    def __next__(self) -> int:
        if self._indices is None:
            raise StopIteration
        try:
            index = next(self._indices)
        except StopIteration:
            self._epochs += 1
            self._indices = None
            self._give_up(self._given % self._whole)
            raise
        self._latest.append(index)
        self._given += 1
        return index

    def begin(self, used: int, whole: int) -> None:
        """Begin another loader where ``used`` indices of the last one were used.

        Args:
            used: images that the last loader's batches had.
            whole: images that the new one's batches have if it drops smaller ones, else 1.
        """
        again = self._give_up(self._given - used)
        self._given, self._whole = 0, whole
        if again and self._indices is None:  # the epoch ended in what was fetched ahead
            self._epochs -= 1
            self._indices = iter(())
        if self._indices is not None:
            self._indices = chain(again, self._indices)

    def _give_up(self, count: int) -> list[int]:
        self._given -= count
        return [self._latest.pop() for _ in range(count)][::-1]


def _end_workers(loader: DataLoader[Any], of_loader: Any) -> None:
    # The runner keeps the loader that it was given, and a loader its persistent workers.
    if isinstance(of_loader, _MultiProcessingDataLoaderIter):
        of_loader._shutdown_workers()
        loader._iterator = None


def _rebuilt(old: DataLoader[Any], batch_size: int | None) -> DataLoader[Any]:
    """Return a loader with the old one's options; its sampler goes on where it was."""
    sizes: dict[str, Any] = (
        {"batch_sampler": old.batch_sampler}
        if isinstance(old.batch_sampler, ShownImages)
        else {
            "batch_size": batch_size,
            "sampler": old.sampler
            if isinstance(old.sampler, Continued)
            else Continued(old.sampler),
            "drop_last": old.drop_last,
        }
    )
    return DataLoader(
        old.dataset,
        num_workers=old.num_workers,
        collate_fn=old.collate_fn,
        pin_memory=old.pin_memory,
        timeout=old.timeout,
        worker_init_fn=old.worker_init_fn,
        multiprocessing_context=old.multiprocessing_context,
        generator=old.generator,
        prefetch_factor=old.prefetch_factor,
        persistent_workers=old.persistent_workers,
        in_order=old.in_order,
        **sizes,
    )
