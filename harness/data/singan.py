"""SinGANDataset: one image at several sizes (Rott Shaham, Dekel and Michaeli, arXiv 1905.01164).

Shape letters: H W pixels, S scales.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import Compose
from torch import Tensor
from torch.utils.data import Dataset

from harness.data import BrokenImageError, Pixels
from harness.data.decode import MAX_BYTES, decode
from harness.errors import DataError, SpecError
from harness.files import plain
from harness.registry import DATASETS
from harness.spec.pyramid import Pyramid

_ENDLESS = 1_000_000


@DATASETS.register_module()
class SinGANDataset(Dataset[dict[str, Any]]):
    """Serve one image's pyramid, made once: every item is the same.

    Without a pipeline an item holds ``real_scale0`` (the coarsest) to ``real_scaleN``, uint8 3HW,
    and ``input_sample``, float32 zeros of the shape of ``real_scale0``. A pipeline gets them as
    read-only RGB arrays HW3, in a dict of its own; what it has to change it must copy.

    Sizes are found by bilinear interpolation of the whole image, without a filter before it.

    Args:
        data_root: path of the image, or of its folder.
        min_size: about the shorter side of the coarsest scale, in px.
        max_size: a longer side above it takes scales off the pyramid, in px.
        scale_factor_init: share of a scale's sides that the next coarser one has, about.
        pipeline: mmengine transforms, configs or callables.
        num_samples: length of the set; below 0 a million.
        filename: the image in ``data_root``.

    Attributes:
        num_scales: number of the finest scale, counted from 0; what SinGAN's networks take.
        scale_factor: share of a scale's sides that the next coarser one has, exactly.
        sizes: H and W in px of every scale.

    Raises:
        DataError: if the image is missing or broken.
        SpecError: if the numbers leave no pyramid.
    """

    def __init__(
        self,
        data_root: str,
        min_size: int,
        max_size: int,
        scale_factor_init: float,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        num_samples: int = -1,
        filename: str = "",
    ) -> None:
        if num_samples == 0:
            raise SpecError(["num_samples: 0 is neither a length nor below 0"])
        self.num_samples = num_samples
        self.pipeline = None if pipeline is None else Compose(pipeline)
        self.metainfo: dict[str, Any] = {}  # mmengine's loops look for it
        image = _read(Path(data_root) / filename)
        height, width, _ = image.shape
        pyramid = Pyramid.of(height, width, min_size, max_size, scale_factor_init)
        self.sizes = pyramid.sizes
        self.scale_factor = pyramid.scale_factor
        self.num_scales = len(pyramid.sizes) - 1
        self._item = self._made(image)

    def __len__(self) -> int:
        return self.num_samples if self.num_samples > 0 else _ENDLESS

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the pyramid, whatever the index; its tensors or arrays are not copied."""
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of a set of {len(self)}")
        return dict(self._item) if self.pipeline is None else self.pipeline(dict(self._item))

    def _made(self, image: Pixels) -> Mapping[str, Any]:
        levels = [resized(image, size) for size in self.sizes]
        if self.pipeline is None:
            reals: list[Any] = [torch.from_numpy(level.transpose(2, 0, 1)) for level in levels]
            reals = [real.contiguous() for real in reals]
            sample: Any = torch.zeros_like(reals[0], dtype=torch.float32)
        else:
            reals, sample = levels, np.zeros(levels[0].shape, np.float32)
            for array in (*reals, sample):
                array.flags.writeable = False
        return {f"real_scale{i}": real for i, real in enumerate(reals)} | {"input_sample": sample}


def resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Return an image uint8 HW3 at another size: bilinear, pixel centres at halves, rounded."""
    if image.shape[:2] == size:
        return image.copy()
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    small: Tensor = F.interpolate(pixels, size, mode="bilinear", align_corners=False)
    return np.ascontiguousarray(small[0].round().byte().permute(1, 2, 0).numpy())


def _read(path: Path) -> Pixels:
    try:
        return np.array(decode(plain.read(path, MAX_BYTES)))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name one image") from None
    except BrokenImageError as error:
        raise DataError(f"{path}: {error}; name one image that can be read") from None
