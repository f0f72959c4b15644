"""What a generator's entries say of it: its family, and its arguments by their shapes.

Scales are powers of two from 4 px; level l stands for 4 * 2**l px.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from harness.errors import DataError

Shapes = Mapping[str, tuple[int, ...]]
_MOST = 99


@dataclass(frozen=True)
class Family:
    """One kind of generator.

    Args:
        name: as ``--model`` takes it.
        type: its generator's name in MODELS.
        marks: entries that no other family's generator has.
        arguments: infers the constructor's arguments from the entries' shapes.
    """

    name: str
    type: str
    marks: tuple[str, ...]
    arguments: Callable[[Shapes], dict[str, Any]]


def prefixes(names: Iterable[str], family: Family) -> list[str]:
    """Return the networks of a family among a checkpoint's entries: what stands before its marks.

    The empty prefix is that of a network saved alone.
    """
    marks = "|".join(re.escape(mark) for mark in family.marks)
    found = (re.fullmatch(rf"(?:(.+)\.)?(?:{marks})", name) for name in names)
    return sorted({match[1] or "" for match in found if match})


def _pggan(shapes: Shapes) -> dict[str, Any]:
    widths = [
        side(
            shapes, (f"torgb_layers.{n}.conv.weight_orig", 1), (f"conv_blocks.{2 * n}.conv.bias", 0)
        )
        for n in range(count(shapes, r"torgb_layers\.(\d+)\."))
    ]
    arguments = {
        "noise_size": side(shapes, ("noise2feat.linear.weight_orig", 1)),
        "out_scale": 4 * 2 ** (len(widths) - 1),
        **channels(widths, 8192),
    }
    for level, (below, width) in enumerate(pairwise(widths)):
        shape = shapes.get(f"conv_blocks.{2 * level + 1}.conv.weight_orig")
        if below != width and shape:
            # A fused layer is a transposed convolution: inputs come first.
            return {**arguments, "fused_upconv": shape[0] == below}
    return arguments


def _stylegan1(shapes: Shapes) -> dict[str, Any]:
    widths = [
        side(shapes, (f"to_rgbs.{n}.conv.weight_orig", 1), (f"convs.{n}.conv2.conv.bias", 0))
        for n in range(count(shapes, r"to_rgbs\.(\d+)\."))
    ]
    # The paper weighs noise for each channel, MMagic for each layer.
    noise = (("convs.0.noise_injector1.weight", 0), ("convs.0.noise_injector2.weight", 0))
    return {
        **_mapping(shapes),
        **channels(widths, 8192),
        "out_size": 4 * 2 ** (len(widths) - 1),
        "paper_form": side(shapes, *noise) > 1,
    }


def _stylegan2(shapes: Shapes) -> dict[str, Any]:
    places = [("to_rgb1", "conv1")]
    places += [
        (f"to_rgbs.{n}", f"convs.{2 * n + 1}") for n in range(count(shapes, r"to_rgbs\.(\d+)\."))
    ]
    widths = [
        side(shapes, (f"{rgb}.conv.weight_orig", 2), (f"{conv}.activate.bias", 0))
        for rgb, conv in places
    ]
    size = 4 * 2 ** (len(widths) - 1)
    multiplier = widths[-1] * size / 16384 if size > 32 else 2
    # MMagic's table, which is its only form; ours has another beside it.
    levels = range(len(widths))
    table = [512 if level < 4 else int(4096 * multiplier / 2**level) for level in levels]
    form = {"channel_multiplier": multiplier} if widths == table else channels(widths, 16384)
    return {**_mapping(shapes), "out_size": size, **form}


def _mapping(shapes: Shapes) -> dict[str, Any]:
    return {
        "style_channels": side(
            shapes, ("style_mapping.1.linear.weight_orig", 1), ("style_mapping.1.bias", 0)
        ),
        "num_mlps": count(shapes, r"style_mapping\.(\d+)\.") - 1,  # number 0 is the pixel norm
    }


def _singan(shapes: Shapes) -> dict[str, Any]:
    head, tail = "blocks.0.head.conv.weight", "blocks.0.tail.conv.weight"
    scales = count(shapes, r"blocks\.(\d+)\.")
    return {
        "in_channels": side(shapes, (head, 1)),
        "out_channels": side(shapes, (tail, 0)),
        "num_scales": scales - 1,
        "kernel_size": side(shapes, (tail, 3)),
        "num_layers": count(shapes, r"blocks\.0\.body\.block(\d+)\.") + 1,
        "base_channels": side(shapes, (head, 0)),
        "min_feat_channels": side(shapes, (tail, 1)),
    }


def count(shapes: Shapes, pattern: str) -> int:
    """Return one more than the largest number in the entries that begin with ``pattern``.

    Raises:
        DataError: if it is more than any network has.
    """
    found = (re.match(pattern, name) for name in shapes)
    number = 1 + max((int(match[1][:9]) for match in found if match), default=-1)
    if number > _MOST:
        raise DataError(f"has {number} layers or scales of one kind: {_MOST} are the most")
    return number


def side(shapes: Shapes, *places: tuple[str, int]) -> int:
    """Return a length that entries tell: the first of those that are there, along its axis.

    Raises:
        DataError: if none is, or has such an axis.
    """
    for name, axis in places:
        if len(shapes.get(name, ())) > axis:
            return shapes[name][axis]
    names = ", ".join(name for name, _ in places)
    raise DataError(f"lacks {names}, by which the size of the network is told")


def channels(widths: Sequence[int], base: int) -> dict[str, int]:
    """Return the arguments that give the channels of each level: min(base / 2**(l + 1), max).

    Args:
        widths: channels by level.
        base: base_channels where the widths leave it open.

    Raises:
        DataError: if none do.
    """
    largest, levels = max(widths, default=0), range(len(widths))
    for guess in (base, *(width * 2 ** len(widths) for width in widths[-1:])):
        if largest and [min(guess // 2 ** (level + 1), largest) for level in levels] == [*widths]:
            return {"base_channels": guess, "max_channels": largest}
    raise DataError(
        f"no base_channels and max_channels give {', '.join(map(str, widths))} channels by level"
    )


_ALL = (
    Family(
        "pggan",
        "PGGANGenerator",
        ("noise2feat.linear.weight_orig", "noise2feat.bias", "torgb_layers.0.conv.bias"),
        _pggan,
    ),
    Family(
        "stylegan1",
        "StyleGAN1Generator",
        ("convs.0.adain1.affine.bias", "convs.0.conv1.input", "to_rgbs.0.conv.bias"),
        _stylegan1,
    ),
    Family(
        "stylegan2",
        "StyleGAN2Generator",
        ("constant_input.input", "to_rgb1.bias", "to_rgb1.conv.weight_orig"),
        _stylegan2,
    ),
    Family(
        "singan",
        "SinGANMultiScaleGenerator",
        ("blocks.0.head.conv.weight", "blocks.0.tail.conv.weight"),
        _singan,
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ALL})
