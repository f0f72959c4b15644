"""Which of the images in a model's answer are meant."""

from collections.abc import Sequence

from harness.structures import Images

GT = "gt_"
"""How the names of real images begin."""


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


def _last(name: str) -> str:
    return name.rpartition(".")[2]
