"""Scales of networks that grow: level l stands for 4 * 2**l pixels, level 0 is 4x4."""

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError

Config = Mapping[str, Any] | None


def size_problems(name: str, size: int) -> list[str]:
    """Return what is wrong with a network's full size in pixels."""
    fits = size >= 4 and not size & (size - 1)
    return [] if fits else [f"{name} is {size}: give a power of two, 4 or more"]


def level_of(curr_scale: int, full_scale: int) -> int:
    """Turn a scale in pixels (-1 for the full one) into a level."""
    scale = full_scale if curr_scale == -1 else curr_scale
    if not 4 <= scale <= full_scale or scale & (scale - 1):
        raise SpecError([f"curr_scale is {scale}: give -1 or a power of two, 4 to {full_scale}"])
    return scale.bit_length() - 3


def channel_widths(full_scale: int, base: int, decay: float, largest: int) -> list[int]:
    """Channels of the features at each level (1710.10196, table 2)."""
    levels = range(level_of(-1, full_scale) + 1)
    widths = [min(int(base / 2 ** ((level + 1) * decay)), largest) for level in levels]
    if min(widths) < 1:
        raise SpecError([f"channels by level are {widths}: raise base_channels or max_channels"])
    return widths


def mbstd_group(mbstd_cfg: Config, default: int | None) -> int | None:
    """Read the one entry that ``mbstd_cfg`` may have."""
    given = {"group_size": default} if mbstd_cfg is None else mbstd_cfg
    if set(given) != {"group_size"}:
        raise SpecError([f'mbstd_cfg is {given}: give {{"group_size": images}} and nothing else'])
    return given["group_size"]


def check_arguments(name: str, scale: int, label_size: int, fixed: Mapping[str, Config]) -> None:
    """Raise SpecError with everything that is wrong with a network's arguments."""
    problems = [
        f"{key} is {cfg}: these layers are fixed, leave it out" for key, cfg in fixed.items() if cfg
    ]
    problems += size_problems(name, scale)
    if label_size:
        problems.append(f"label_size is {label_size}: labels are not supported, give 0")
    if problems:
        raise SpecError(problems)
