"""What models are asked and answer: DataSample, and reading images out of any model's answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from harness import compat  # noqa: F401  (before anything of mmengine)

# isort: split
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.structures import BaseDataElement, LabelData
from torch import Tensor, nn

from harness.ranks.shares import TOTAL

Images = dict[str, list[Tensor]]
"""Images by name, one a sample, each CHW or a sequence TCHW of T of them."""

IMAGE = "fake_img"
"""Key of generated images where a model gives one kind only."""


class DataSample(BaseDataElement):
    """One sample: real image ``gt_img``, generated ``fake_img`` (CHW), class ``gt_label``, more.

    A sample may hold samples (``ema``, ``orig``), one for each network that drew it.
    """

    def set_predefined_data(self, data: Mapping[str, Any]) -> None:
        """Take over values as they are; ``gt_label`` becomes a LabelData."""
        for key, value in data.items():
            setattr(self, key, value)

    def set_tensor_data(self, data: Mapping[str, Any]) -> None:
        """Take over values as tensors."""
        for key, value in data.items():
            setattr(self, key, torch.as_tensor(value))

    def set_gt_label(self, value: Any) -> "DataSample":
        """Set the class: a number, numbers, an array, a tensor, or a LabelData."""
        if not isinstance(value, LabelData):
            value = LabelData(label=torch.atleast_1d(torch.as_tensor(value)))
        self.set_field(value, "gt_label", dtype=LabelData)
        return self

    @classmethod
    def stack(cls, samples: Sequence["DataSample"]) -> "DataSample":
        """Return one sample whose every value is all the samples', tensors stacked to N...

        Raises:
            ValueError: if there is none, or they have not the same keys.
        """
        if not samples:
            raise ValueError("DataSample.stack: no samples given")
        keys = list(samples[0].keys())
        if any(set(sample.keys()) != set(keys) for sample in samples):
            raise ValueError("DataSample.stack: the samples do not all have the same keys")
        names = samples[0].metainfo_keys()
        stacked = cls(metainfo={n: [s.metainfo.get(n) for s in samples] for n in names})
        for key in keys:
            stacked.set_field(_stacked([sample.get(key) for sample in samples]), key)
        return stacked

    def split(self) -> list["DataSample"]:
        """Return the samples that were stacked: the first dimension of every value."""
        parts = [type(self)() for _ in range(len(self))]
        for key, value in self.items():
            values = value.split() if isinstance(value, DataSample) else _unstacked(value)
            for part, of_part in zip(parts, values, strict=True):
                part.set_field(of_part, key)
        for key, values in self.metainfo_items():
            if isinstance(values, list) and len(values) == len(parts):
                for part, of_part in zip(parts, values, strict=True):
                    part.set_metainfo({key: of_part})
        return parts

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "gt_label":
            self.set_gt_label(value)
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        lengths = {
            len(value.label) if isinstance(value, LabelData) else len(value)
            for value in self.values()
            if isinstance(value, Tensor | DataSample | LabelData | Sequence)
        }
        if len(lengths) > 1:
            raise ValueError(f"this sample's values differ in length: {sorted(lengths)}")
        return lengths.pop() if lengths else 0


@runtime_checkable
class Renewing(Protocol):
    """A model that gives parts of its networks new weights while it trains, as SinGAN does."""

    @property
    def renewed(self) -> Mapping[str, tuple[str, ...]]:
        """What was made anew before the last iteration: prefixes of entries, by network."""


def images_in(answer: Any) -> Images:
    """Return the images that a model answered, by name and in order.

    What a value holds is told by its own dimensions, never by how many there are: a batch of one
    sequence and one of several images stay what they are.

    Args:
        answer: images NCHW or sequences NTCHW; a dict of them; or a list of samples, each an
            image, a dict or a DataSample, whose nested samples are named by path
            (``ema.fake_img``). Other values are left out.

    Raises:
        ValueError: if samples have not the same names.
    """
    if isinstance(answer, Tensor):
        return {IMAGE: list(answer)} if _is_image(answer, batched=True) else {}
    if isinstance(answer, Mapping):
        found = {k: list(v) for k, v in answer.items() if _is_image(v, batched=True)}
        return found | images_in(answer.get("data_samples", ()))
    if not isinstance(answer, Sequence):
        return {}
    samples = [_fields(sample) for sample in answer]
    names = sorted(samples[0]) if samples else []  # a DataSample's own order is not fixed
    for sample in samples:
        if set(sample) != set(names):
            raise ValueError(
                f"samples of one answer hold images {names} and {sorted(sample)}: a picture needs "
                "the same of each"
            )
    return {name: [sample[name] for sample in samples] for name in names}


def images_of(answer: Any) -> dict[str, Tensor]:
    """Return the images that a model answered as ``images_in`` does, but NCHW by name.

    Batches are given back as they are, so that what was computed of one is known by it.
    """
    if isinstance(answer, Tensor):
        answer = {IMAGE: answer}
    if isinstance(answer, Mapping):
        return {name: v for name, v in answer.items() if _is_image(v, batched=True)}
    return {name: torch.stack(images) for name, images in images_in(answer).items() if images}


def batch_images(batch: Any) -> int:
    """Return how many images a rank's batch holds: a tensor, a list, or a dict with ``inputs``."""
    if isinstance(batch, Mapping):
        batch = batch.get("inputs", next(iter(batch.values()), None))
        return batch_images(batch)
    return 0 if batch is None else len(batch)


def shown_images(batch: Any) -> int:
    """Return how many images the batches of all ranks hold: ``total``, where a batch says it."""
    if isinstance(batch, Mapping) and TOTAL in batch:
        return int(batch[TOTAL])
    return batch_images(batch) * get_world_size()


def unwrapped(module: Any) -> nn.Module:
    """Return the module inside a wrapper for distributed training, or the module itself."""
    network: nn.Module = module.module if is_model_wrapper(module) else module
    return network


def renewed_in(model: Any) -> Mapping[str, tuple[str, ...]]:
    """Return what the last iteration began with anew: prefixes of entries, by network."""
    inner: Any = unwrapped(model)
    try:  # asked at every iteration: whether it is a Renewing takes ten times as long to tell
        renewed: Mapping[str, tuple[str, ...]] = inner.renewed
    except AttributeError:
        return {}
    return renewed


def _fields(sample: Any, prefix: str = "") -> dict[str, Tensor]:
    if isinstance(sample, Tensor):
        return {IMAGE: sample} if _is_image(sample) else {}
    images: dict[str, Tensor] = {}
    if isinstance(sample, BaseDataElement | Mapping):
        for key, value in sample.items():
            if isinstance(value, BaseDataElement | Mapping):
                images |= _fields(value, f"{prefix}{key}.")
            elif _is_image(value):
                images[f"{prefix}{key}"] = value
    return images


def _is_image(value: Any, batched: bool = False) -> bool:
    if not isinstance(value, Tensor) or value.ndim - batched not in (3, 4):
        return False
    return value.shape[-3] in (1, 3)


def _stacked(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, DataSample):
        return DataSample.stack(values)
    if isinstance(first, LabelData):
        return LabelData(label=torch.stack([value.label for value in values]))
    return torch.stack(values) if isinstance(first, Tensor) else values


def _unstacked(value: Any) -> list[Any]:
    if isinstance(value, LabelData):
        return [LabelData(label=label) for label in value.label]
    return list(value)
