"""Samplers of a runner's data: real batches, as its loaders would have put them together."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader, IterableDataset

from harness.errors import SpecError
from harness.visuals.entries import Entry
from harness.visuals.subject import Subject, subject_of


@runtime_checkable
class SeveralLoaders(Protocol):
    """A loop that goes through several data sets."""

    dataloaders: Sequence[Any]


class DataSampler:
    """Batches of the training set, in an order of the visualization's own.

    Args:
        entry: how many samples; more than the set has begin it anew.
        runner: its loader gives the data set, the batch size and the collate function.

    Raises:
        SpecError: if there are no such data, or they cannot be indexed.
    """

    def __init__(self, entry: Entry, runner: Runner) -> None:
        self._shares = _Shares(entry, subject_of(runner), loaders_of(runner.train_loop), "train")

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        return iter(self._shares)


class ValDataSampler:
    """Batches of all validation sets, an equal share of each; arguments as of DataSampler."""

    def __init__(self, entry: Entry, runner: Runner) -> None:
        self._shares = _Shares(entry, subject_of(runner), loaders_of(runner.val_loop), "val")

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        return iter(self._shares)


class TestDataSampler:
    """Batches of all test sets, an equal share of each; arguments as of DataSampler."""

    __test__ = False

    def __init__(self, entry: Entry, runner: Runner) -> None:
        self._shares = _Shares(entry, subject_of(runner), loaders_of(runner.test_loop), "test")

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        return iter(self._shares)


def loaders_of(loop: Any) -> list[DataLoader[Any]]:
    """Return the loaders of a loop that may have one, several or none."""
    if isinstance(loop, SeveralLoaders):
        loaders = list(loop.dataloaders)
    else:
        loaders = [] if loop is None else [loop.dataloader]
    return [loader for loader in loaders if isinstance(loader, DataLoader)]


class _Shares:
    """An equal share of samples from each loader's data set."""

    def __init__(
        self, entry: Entry, subject: Subject, loaders: list[DataLoader[Any]], name: str
    ) -> None:
        if not loaders:
            raise SpecError(
                [
                    f"vis_kwargs_list.type: {entry.type} draws from the {name} set, and the runner "
                    f"has none: give it a {name}_dataloader"
                ]
            )
        for loader in loaders:
            if isinstance(loader.dataset, IterableDataset) or not _length(loader):
                kind = type(loader.dataset).__name__
                raise SpecError(
                    [
                        f"vis_kwargs_list.type: {entry.type} cannot choose images of the {name} "
                        f"set: {kind} is empty or has no indices"
                    ]
                )
        self.entry, self.subject, self.loaders = entry, subject, loaders

    def __iter__(self) -> Iterator[Any]:
        each, more = divmod(self.entry.n_samples, len(self.loaders))
        for index, loader in enumerate(self.loaders):
            yield from self._batches(loader, each + (index < more), index)

    def _batches(self, loader: DataLoader[Any], count: int, index: int) -> Iterator[Any]:
        stream = self.subject.stream(self.entry, f" order {index}")
        length = _length(loader)
        order: list[int] = torch.randperm(length, generator=stream).tolist()
        wanted = [order[i % length] for i in range(count)]
        size = self.entry.num_batches or loader.batch_size or _size_of(loader.batch_sampler)
        batches = [wanted[start : start + size] for start in range(0, count, size)]
        # A generator given, or the loader takes a seed from torch's global stream.
        return iter(
            DataLoader(
                loader.dataset,
                batch_sampler=batches,
                collate_fn=loader.collate_fn,
                generator=stream,
            )
        )


def _length(loader: DataLoader[Any]) -> int:
    return len(loader.dataset)  # type: ignore[arg-type]


def _size_of(batch_sampler: Any) -> int:
    return int(batch_sampler.batch_size)
