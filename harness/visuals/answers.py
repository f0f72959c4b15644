"""Images in a model's answer, by name; each a CHW image or a TCHW sequence of T of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.structures import BaseDataElement
from torch import Tensor

from harness.structures import IMAGE

Images = dict[str, list[Tensor]]
"""The images of each name, one a sample."""

GT = "gt_"
"""How the names of real images begin."""


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


def real_in(images: Images) -> Images:
    """Return the real images: those whose last name begins with ``gt_``."""
    return {name: v for name, v in images.items() if _last(name).startswith(GT)}


def chosen(images: Images, keys: Sequence[str]) -> Images:
    """Return the images that keys name, or all generated ones where no key is given.

    Args:
        images: as ``images_in`` has them.
        keys: whole names (``ema.fake_img``), or the name of a sample (``ema``), which stands for
            all generated images in it.

    Raises:
        ValueError: if a key names nothing; lists what there is.
    """
    generated = {name: v for name, v in images.items() if not _last(name).startswith(GT)}
    if not keys:
        return generated
    found: Images = {}
    for key in keys:
        inside = {n: v for n, v in generated.items() if n.startswith(f"{key}.")}
        named = {key: images[key]} if key in images else inside
        if not named:
            there = ", ".join(images) or "none"
            raise ValueError(f"target key {key!r}: no such image in the model's answer: {there}")
        found |= named
    return found


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


def _last(name: str) -> str:
    return name.rpartition(".")[2]
