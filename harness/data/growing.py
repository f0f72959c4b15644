"""The images of a growing network: one set at several scales, one of them current.

Shape letters: N images, B images of a batch, H W pixels of the current scale, which is named by
the longer side.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from harness.data import Pixels
from harness.data.order import Rows
from harness.errors import DataError, SpecError
from harness.ranks.shares import TOTAL

Batch = dict[str, Any]


def as_is(batch: Any) -> Any:
    """Collate nothing: ``GrowingImages.__getitems__`` already gathers whole batches."""
    return batch


class GrowingImages(Dataset[Batch]):
    """One set of images at several scales; serves the current one, at first the smallest.

    Use it with ``num_workers=0``: a worker process would not learn of a change of scale, and would
    fetch ahead of it.

    Args:
        scales: longer side in px to uint8 N3HW; the same images in the same order at every scale.
        device: where batches are handed out.
        max_device_gib: room in GiB on ``device`` for whole scales, the smallest first. What does
            not fit stays as given (memory-mapped, say) and is gathered on the CPU.

    Raises:
        SpecError: there is no scale.
        DataError: the scales hold different numbers of images, or an array has another shape.
    """

    batch_collate = staticmethod(as_is)

    def __init__(
        self,
        scales: Mapping[int, Pixels],
        device: torch.device | str = "cpu",
        max_device_gib: float = 4.0,
    ) -> None:
        if not scales:
            raise SpecError(["scales: none given; name at least one, such as 4"])
        self._device = torch.device(device)
        self._scales: dict[int, Tensor | Pixels] = {}
        self.curr_scale = min(scales)
        self.metainfo: dict[str, Any] = {}  # mmengine's loops look for it
        self._num_images = len(scales[self.curr_scale])
        room = max_device_gib * 2**30
        for scale, pixels in sorted(scales.items()):
            self._check(scale, pixels)
            room -= pixels.nbytes
            fits = room >= 0
            self._scales[scale] = self._moved(pixels) if fits else pixels

    @property
    def images(self) -> Tensor | Pixels:
        """All images of the current scale, uint8 N3HW: on the device if they fit there."""
        return self._scales[self.curr_scale]

    def update_annotations(self, curr_scale: int) -> bool:
        """Serve images of ``curr_scale`` px from now on; return whether that is a change.

        Raises:
            SpecError: no images of that scale are held.
        """
        if curr_scale not in self._scales:
            known = ", ".join(map(str, self._scales))
            raise SpecError([f"scale {curr_scale}: no images of that size; known are {known} px"])
        changed = curr_scale != self.curr_scale
        self.curr_scale = curr_scale
        return changed

    def __len__(self) -> int:
        return self._num_images

    def __getitem__(self, index: int) -> Batch:
        """Return image ``index`` of the current scale: ``inputs`` uint8 3HW on the device."""
        return {"inputs": self.__getitems__([index])["inputs"][0]}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Gather images of the current scale: ``inputs`` uint8 B3HW on the device.

        A process's share of a batch is told with it: ``total``, images of the whole batch.
        """
        # On a GPU an index past the end would end the process.
        if len(indices) and not 0 <= min(indices) <= max(indices) < len(self):
            raise IndexError(f"images {[*indices]} of a set of {len(self)}")
        wanted = torch.as_tensor(indices, dtype=torch.int64)
        batch: Batch = {"inputs": self._gathered(wanted)}
        return batch | {TOTAL: indices.total} if isinstance(indices, Rows) else batch

    def _gathered(self, wanted: Tensor) -> Tensor:
        images = self.images
        if isinstance(images, Tensor):
            return images.index_select(0, wanted.to(images.device))
        return self._moved(images[wanted.numpy()])

    def _check(self, scale: int, pixels: Pixels) -> None:
        known = pixels.ndim == 4 and pixels.shape[:2] == (self._num_images, 3)
        if not known or max(pixels.shape[2:]) != scale or pixels.dtype != np.uint8:
            raise DataError(
                f"scale {scale}: got {pixels.dtype} {pixels.shape}, must be uint8 "
                f"({self._num_images}, 3, H, W) with a longer side of {scale} px; "
                "prepare all scales from one source"
            )

    def _moved(self, pixels: Pixels) -> Tensor:
        """Copy pixels to the device; never shares memory with a read-only map."""
        return torch.from_numpy(np.array(pixels)).to(self._device)
