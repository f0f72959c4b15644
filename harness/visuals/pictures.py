"""Images as pictures: uint8 RGB, HWC for one that stands still and THWC for one that moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from harness.structures import Images
from harness.visuals.answers import chosen, real_in
from harness.visuals.grids import grid

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Style:
    """How images become a picture.

    Args:
        target_keys: names of the images to show; by default every generated one.
        vis_mode: ``image``, a grid, sequences one a row; or ``gif``, a grid that moves.
        draw_gt: each image's real one at its left.
        n_row: images a row; by default the square root of their number.
        color_order: ``rgb`` or ``bgr``, of the images given.
        target_mean: added to an image times ``target_std``, to give [0, 255]; one number or three
            in the images' order. Images of type uint8 are taken as they are.
        target_std: see ``target_mean``.
        n_skip: of a moving picture every n-th frame is shown, and the last.
    """

    target_keys: tuple[str, ...] = ()
    vis_mode: str = "image"
    draw_gt: bool = False
    n_row: int | None = None
    color_order: str = "rgb"
    target_mean: float | Sequence[float] = 127.5
    target_std: float | Sequence[float] = 127.5
    n_skip: int = 1


def pictures(images: Images, style: Style) -> dict[str, Picture]:
    """Return a picture of each name: HWC, or THWC where it moves.

    Raises:
        ValueError: if there is no image to show, or no real one to show with it.
    """
    shown = chosen(images, style.target_keys)
    if not shown:
        raise ValueError("the model's answer holds no image: NCHW or NTCHW of 1 or 3 channels")
    return {name: _picture(name, images, style) for name in shown}


def _picture(name: str, images: Images, style: Style) -> Picture:
    samples = [pixels(image, style) for image in images[name]]
    if style.draw_gt:
        real = [pixels(image, style) for image in _real_of(name, images)]
        samples = [_beside(left, right) for left, right in zip(real, samples, strict=True)]
    tiles = _of_one_size(samples)
    if style.vis_mode == "gif":
        return _moving(tiles, style)
    longest = max(map(len, tiles))
    columns = style.n_row or (longest if longest > 1 else None)
    return grid(torch.cat(tiles), columns)


def pixels(image: Tensor, style: Style) -> Tensor:
    """Return an image CHW or a sequence TCHW as uint8 T3HW in RGB, rounded and clamped."""
    image = image.detach().cpu()
    image = image[None] if image.ndim == 3 else image
    colours = image.expand(-1, 3, -1, -1)
    if colours.dtype != torch.uint8:
        mean, std = (
            torch.tensor(v, dtype=torch.float32).reshape(-1, 1, 1)
            for v in (style.target_mean, style.target_std)
        )
        # In this order it is images.to_uint8 to the last bit.
        colours = colours.float().add(mean / std).mul(std).round()
        colours = colours.nan_to_num(0).clamp(0, 255).to(torch.uint8)
    return colours.flip(1) if style.color_order == "bgr" else colours


def _real_of(name: str, images: Images) -> list[Tensor]:
    """Return the real images for one name: ``gt_x`` for ``fake_x``, else the only ones."""
    real = real_in(images)
    parent, _, last = name.rpartition(".")
    namesake = "gt_" + last.removeprefix("fake_")
    for candidate in (f"{parent}.{namesake}", namesake):
        if candidate in real:
            return real[candidate]
    if len(real) != 1:
        there = ", ".join(images)
        raise ValueError(
            f"draw_gt: which real image belongs to {name!r}? Name it {namesake!r}, or give one "
            f"alone that begins with gt_; there are {there}"
        )
    return next(iter(real.values()))


def _beside(left: Tensor, right: Tensor) -> Tensor:
    """Join two sequences T3HW, the shorter one's last frame repeated."""
    length = max(len(left), len(right))
    left, right = (_held(side, length) for side in _of_one_height([left, right]))
    return torch.cat([left, right], dim=-1)


def _moving(tiles: list[Tensor], style: Style) -> Picture:
    length = max(map(len, tiles))
    tiles = [_held(tile, length) for tile in tiles]
    times = sorted({*range(0, length, style.n_skip), length - 1})
    return np.stack([grid(torch.stack([t[i] for t in tiles]), style.n_row) for i in times])


def _held(frames: Tensor, length: int) -> Tensor:
    return torch.cat([frames, frames[-1:].expand(length - len(frames), -1, -1, -1)])


def _of_one_height(images: list[Tensor]) -> list[Tensor]:
    height = max(image.shape[-2] for image in images)
    return [F.pad(image, (0, 0, 0, height - image.shape[-2])) for image in images]


def _of_one_size(images: list[Tensor]) -> list[Tensor]:
    """Return images with black below and at the right of the smaller ones."""
    width = max(image.shape[-1] for image in images)
    return [F.pad(im, (0, width - im.shape[-1], 0, 0)) for im in _of_one_height(images)]
