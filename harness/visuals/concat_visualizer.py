"""ConcatImageVisualizer: the images of one sample side by side, in a file of the sample's name."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement, PixelData
from mmengine.visualization import Visualizer as MMEngineVisualizer
from numpy.typing import NDArray

from harness.registry import VISUALIZERS
from harness.visuals.backends import as_bytes


@VISUALIZERS.register_module()
class ConcatImageVisualizer(MMEngineVisualizer):
    """Join a sample's images side by side, frames of a sequence one below the other.

    Images are tensors CHW or TCHW, arrays HW, HWC or THWC, or PixelData; C 1 or 3. Those of type
    uint8 are taken as they are, others as numbers in [0, 255] or in their ``pixel_range``.

    Args:
        fn_key: key of the path that names the file: ``dir/a.b.png`` gives ``a.b``.
        img_keys: keys of the images, from left to right.
        pixel_range: lowest and highest value of a key's images that are not uint8.
        bgr2rgb: swap the colours' order.
        clip_range: pixels are clamped to it, in [0, 255].
        name: of this visualizer.
        vis_backends: backends or their configs.
        save_dir: folder of backends that name none.
    """

    def __init__(
        self,
        fn_key: str,
        img_keys: str | Sequence[str],
        pixel_range: Mapping[str, tuple[float, float]] | None = None,
        bgr2rgb: bool = False,
        name: str = "visualizer",
        vis_backends: Sequence[Any] | dict[str, Any] | None = None,
        save_dir: str | None = None,
        clip_range: tuple[float, float] = (0, 255),
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.fn_key = fn_key
        self.img_keys = [img_keys] if isinstance(img_keys, str) else list(img_keys)
        self.pixel_range = dict(pixel_range or {})
        self.bgr2rgb = bgr2rgb
        self.clip_range = clip_range

    @master_only  # type: ignore[untyped-decorator]
    def add_datasample(self, data_sample: BaseDataElement, step: int = 0) -> None:
        """Draw one sample; values of its ``output`` stand above its own.

        Raises:
            KeyError: if none of the images is there, or no path; names the keys that are.
        """
        values = dict(data_sample.all_items())
        output = values.get("output")
        if isinstance(output, BaseDataElement):
            values |= dict(output.all_items())
        there = ", ".join(sorted(map(str, values)))
        missing = [key for key in self.img_keys if key not in values]
        if self.fn_key not in values:
            raise KeyError(f"fn_key {self.fn_key!r} is not in the sample; it has {there}")
        if len(missing) == len(self.img_keys):
            raise KeyError(f"none of img_keys {self.img_keys} is in the sample; it has {there}")
        if missing:
            warnings.warn(f"img_keys {missing} are not in the sample: left out", stacklevel=2)
        images = [self._pixels(key, values[key]) for key in self.img_keys if key in values]
        self.add_image(file_name(values[self.fn_key]), _side_by_side(images), step)

    def _pixels(self, key: str, value: Any) -> NDArray[np.uint8]:
        image = _array(value)
        if image.ndim == 4:
            image = np.concatenate(list(image))
        if image.ndim == 2:
            image = image[..., None]
        image = np.broadcast_to(image, (*image.shape[:2], 3))
        if image.dtype != np.uint8 and key in self.pixel_range:
            low, high = self.pixel_range[key]
            image = (image - low) / (high - low) * 255
        image = as_bytes(image.clip(*self.clip_range))
        return image[..., ::-1] if self.bgr2rgb else image


def file_name(path: str | Sequence[str]) -> str:
    """Return the last part of a path, or of the first of several, less its extension alone."""
    first = path if isinstance(path, str) else path[0]
    base = re.split(r"[/\\]", first)[-1]
    return base.rpartition(".")[0] or base


def _array(value: Any) -> NDArray[Any]:
    """Return an image HW or HWC, or a sequence THWC."""
    data = value.data if isinstance(value, PixelData) else value
    if isinstance(data, torch.Tensor):
        data = data.detach().cpu()
        return data.movedim(-3, -1).numpy() if data.ndim >= 3 else data.numpy()
    return np.asarray(data)


def _side_by_side(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height = max(image.shape[0] for image in images)
    below = [((0, height - image.shape[0]), (0, 0), (0, 0)) for image in images]
    padded = [np.pad(image, pad) for image, pad in zip(images, below, strict=True)]
    return np.ascontiguousarray(np.concatenate(padded, axis=1))
