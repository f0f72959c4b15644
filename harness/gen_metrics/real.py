"""The real images of a dataloader, and what an extractor sees in them, kept in files.

A file's name is a hash of the pixels, of the extractor's weights and of the protocol, as in
``harness.metrics.reference``; here the images are read batch by batch.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor
from torch.utils.data import DataLoader

from harness.errors import DataError, OutputError
from harness.images import to_uint8
from harness.metrics.extractor import Extractor, Features, require_rgb
from harness.metrics.reference import EXTRACT_BATCH, read_tensors, write_tensors

_PROTOCOL = "real features 1"
_READ_TWICE = 32


class RealSet:
    """The images of a dataloader's data set in the set's own order, each read once a use.

    What was computed is remembered for the other metrics of the same evaluator.

    Args:
        dataloader: its data set, collation and workers are used; its sampler is not.
    """

    def __init__(self, dataloader: DataLoader[Any]) -> None:
        self._dataloader = dataloader
        self._digests: dict[tuple[str, int], str] = {}
        self._features: dict[tuple[str, int, str], Features] = {}

    def count(self, wanted: int) -> int:
        """Return how many images there are of ``wanted``, -1 for all.

        Raises:
            DataError: there are fewer.
        """
        there = len(self._dataloader.dataset)  # type: ignore[arg-type]
        if wanted > there or there == 0 or wanted == 0:
            raise DataError(f"{wanted} real images are wanted, the data set has {there}")
        return there if wanted < 0 else wanted

    def shape(self, key: str) -> tuple[int, int, int]:
        """Return (C, H, W) of the first image."""
        C, H, W = next(self.batches(key, 1)).shape[1:]
        return C, H, W

    def batches(self, key: str, count: int) -> Iterator[Tensor]:
        """Yield the first ``count`` images, uint8 N3HW, ``EXTRACT_BATCH`` at a time.

        Args:
            key: name of the images in an item, as ``gt_img``; where there is none, ``inputs``.

        Raises:
            DataError: an item has no such image, or images are no RGB.
        """
        loader = partial(self._loader, self._dataloader.num_workers)
        for batch in loader(count):
            yield _bytes(_images_in(batch, key))

    def digest(self, key: str, count: int) -> str:
        """Return the sha256 of the pixels.

        Raises:
            DataError: images differ from one reading to the next.
        """
        if (key, count) not in self._digests:
            self._check_steady(key, count)
            digest = hashlib.sha256()
            for images in self.batches(key, count):
                digest.update(str(tuple(images.shape)).encode())
                digest.update(images.cpu().contiguous().numpy().data)
            self._digests[key, count] = digest.hexdigest()
        return self._digests[key, count]

    def features(self, key: str, count: int, extractor: Extractor, cache_dir: Path) -> Features:
        """Return what the extractor sees, on the CPU; from the cache where it is there.

        Raises:
            OutputError: the cache cannot be written.
        """
        asked = (key, count, extractor.digest)
        if asked not in self._features:
            name = f"{_PROTOCOL}; {extractor.name} {extractor.digest}; {self.digest(key, count)}"
            digest = hashlib.sha256(name.encode()).hexdigest()[:32]
            path = cache_dir / f"{extractor.name}-{digest}.features"
            self._features[asked] = self._kept(path, key, count, extractor)
        return self._features[asked]

    def _kept(self, path: Path, key: str, count: int, extractor: Extractor) -> Features:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                tensors = read_tensors(path)
                if tensors is None:
                    seen = [extractor(images) for images in self.batches(key, count)]
                    columns = zip(*seen, strict=True)
                    both = (torch.cat(column).cpu() for column in columns)
                    tensors = Features(*both)._asdict()
                    write_tensors(path, tensors)
        except OSError as error:
            raise OutputError(
                f"cannot keep features in {path.parent} ({error.strerror}): choose a writable "
                "folder as cache_dir"
            ) from error
        return Features(tensors["features"], tensors["logits"])

    def _loader(self, num_workers: int, count: int) -> DataLoader[Any]:
        given = self._dataloader
        return DataLoader(
            given.dataset,
            batch_size=EXTRACT_BATCH,
            sampler=range(count),
            num_workers=num_workers,
            collate_fn=given.collate_fn,
        )

    def _check_steady(self, key: str, count: int) -> None:
        few = min(count, _READ_TWICE)
        first, second = (
            torch.cat([_images_in(batch, key) for batch in self._loader(0, few)]) for _ in range(2)
        )
        if not torch.equal(first, second):
            raise DataError(
                "the real images differ from one reading to the next: take random transforms, "
                "such as flips, out of the pipeline of the val and test dataloaders"
            )


def _images_in(batch: Any, key: str) -> Tensor:
    if isinstance(batch, Mapping):
        inputs = batch.get("inputs")
        for holder in (batch.get("data_samples"), inputs, batch):
            found = _field(holder, key)
            if found is not None:
                return _stacked(found)
        if isinstance(inputs, Tensor | Sequence):
            return _stacked(inputs)
    raise DataError(f"real images: a batch has neither '{key}' nor inputs that are images")


def _field(holder: Any, key: str) -> Any:
    if holder is None or isinstance(holder, Tensor):
        return None
    if isinstance(holder, Sequence):
        found = [_field(one, key) for one in holder]
        return None if not found or any(one is None for one in found) else found
    return holder.get(key)


def _stacked(images: Any) -> Tensor:
    try:
        return images if isinstance(images, Tensor) else torch.stack(list(images))
    except (TypeError, RuntimeError) as error:
        raise DataError(f"real images are not tensors of one shape: {error}") from error


def _bytes(images: Tensor) -> Tensor:
    if images.is_floating_point():
        if not bool((images.abs() <= 1.001).all()):
            raise DataError("real images of a float type must be in [-1, 1]; uint8 is taken as is")
        images = to_uint8(images)
    require_rgb(images)
    return images
