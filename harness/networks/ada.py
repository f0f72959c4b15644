"""Augmentations that a discriminator sees through (arXiv 2006.06676, section 2 and appendix B).

Each transform acts on an image with probability p, on real and generated ones alike. All are
linear in the pixels and differentiable twice, which R1 through them needs.

- Pixel blitting (flip, quarter turns, whole-pixel shifts) copies pixels as they are.
- Geometric transforms (scaling, rotation, fractional shift) are one affine map: the image is
  enlarged twofold by the sym6 wavelet's low-pass, sampled bilinearly, and reduced by the same
  filter reversed, as in the paper. The filter is orthogonal, so that no transform is no change;
  along one axis it is a small matrix, so that all of it is two products and a look-up of pixels.
- Beyond its border an image goes on as its reflection.
- Colour transforms are one affine map of RGB.

Shape letters: N images, H pixels of a side, J samples of a side at twice the resolution.
"""

import math

import torch
from torch import Tensor, nn

from harness.errors import DataError
from harness.ranks.shares import Share

# Low-pass filter of the wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", table 6.3).
_SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_TAPS = len(_SYM6)
_DELAY = sum(tap * weight for tap, weight in enumerate(_SYM6)) / sum(_SYM6)
"""Sample j of the enlarged image lies at pixel (j - _DELAY) / 2."""

_TINY = 1e-3
"""So that rounding does not take the outermost samples off the grid."""

_MAX_SHIFT = 0.125
_SHIFT_STD = 0.125
_SCALE_STD = 0.2 * math.log(2)
_BRIGHTNESS_STD = 0.2
_CONTRAST_STD = 0.5 * math.log(2)
_SATURATION_STD = math.log(2)


class Augment(nn.Module):
    """The whole pipeline for square images of one size.

    Args:
        size: H, pixels of a side, at least 2.
    """

    up: Tensor
    down: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        up, down = _resampling(size)
        self.register_buffer("up", up, persistent=False)
        self.register_buffer("down", down, persistent=False)

    def forward(
        self, images: Tensor, p: float, random: torch.Generator, share: Share | None = None
    ) -> Tensor:
        """Return the images augmented; with p = 0 they are ``images`` itself.

        Args:
            images: N3HH.
            p: probability of each transform for each image, in [0, 1].
            random: drawn from, and decides on what device; the same number of draws at any p > 0.
            share: which images of a batch these are: what is drawn is drawn for the whole of it.

        Raises:
            DataError: the images have another shape.
        """
        if tuple(images.shape[1:]) != (3, self.size, self.size):
            expected = f"(N, 3, {self.size}, {self.size})"
            raise DataError(f"images to augment are {tuple(images.shape)}: give {expected}")
        if p <= 0:
            return images
        share = share or Share.whole(len(images))
        images = blit(images, *map(share.take, draw_blit(share.total, self.size, p, random)))
        linear, shift = map(share.take, draw_warp(share.total, self.size, p, random))
        images = self.warp(images, linear.to(images), shift.to(images))
        return recolour(images, share.take(draw_colour(share.total, p, random)))

    def warp(self, images: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
        """Move the content of each image from x to ``linear @ x + shift``.

        Args:
            images: NCHH.
            linear: N22, on (row, column) counted from the image's centre.
            shift: N2, in pixels (down, right).
        """
        N, _, H, _ = images.shape
        J, centre = len(self.up), (H - 1) / 2
        grid = (torch.arange(J, device=images.device) - _DELAY) / 2 - centre
        target = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), dim=-1).view(1, J * J, 2)
        source = (target - shift[:, None]) @ torch.linalg.inv(linear).mT + centre
        samples = 2 * _reflected(source, H) + _DELAY
        large = self.up @ images @ self.up.T
        return self.down @ _bilinear(large, samples).view(N, -1, J, J) @ self.down.T


def _resampling(size: int) -> tuple[Tensor, Tensor]:
    """Matrices (J, H) and (H, J) that enlarge one axis and bring it back; down @ up = 1."""
    samples = 2 * size + _TAPS - 2
    up, down = (torch.zeros(shape, dtype=torch.float64) for shape in ((samples, size),) * 2)
    for pixel in range(-_TAPS // 2, size + _TAPS // 2):
        for tap, weight in enumerate(_SYM6):
            if 0 <= (sample := 2 * pixel + tap) < samples:
                up[sample, _mirrored(pixel, size)] += math.sqrt(2) * weight
                if 0 <= pixel < size:
                    down[sample, pixel] = weight / math.sqrt(2)
    return up.float(), down.T.contiguous().float()


def _mirrored(pixel: int, size: int) -> int:
    period = 2 * (size - 1)
    return (size - 1) - abs(pixel % period - (size - 1))


def _reflected(pixels: Tensor, size: int) -> Tensor:
    """Reflect positions at the centres of the border's pixels, as far as they lie off the grid."""
    last = size - 1
    inside = last - (pixels.remainder(2 * last) - last).abs()
    before, after = _DELAY / 2 + _TINY, (_TAPS - 1 - _DELAY) / 2 + _TINY
    on_grid = (pixels >= -before) & (pixels <= last + after)
    return torch.where(on_grid, pixels, inside)


def _bilinear(images: Tensor, samples: Tensor) -> Tensor:
    """Sample NCJJ at positions (N, M, 2) within it; returns NCM."""
    # Pixels are looked up by index: unlike grid_sample's, the look-up's gradient can be
    # differentiated again, and adds up in one order on a GPU too.
    N, C, J, _ = images.shape
    low = samples.floor().clamp(0, J - 2)
    row, column = (samples - low).unsqueeze(2).unbind(-1)
    first = low.long()
    index = first[..., 0] * J + first[..., 1]
    index = (index + J * J * torch.arange(N, device=index.device)[:, None]).unsqueeze(-1)
    corners = torch.tensor([0, 1, J, J + 1], device=index.device)
    weights = torch.cat(
        [(1 - row) * (1 - column), (1 - row) * column, row * (1 - column), row * column], dim=2
    )
    values = images.permute(0, 2, 3, 1).reshape(-1, C)[index + corners]
    return torch.einsum("nmkc,nmk->ncm", values, weights)


def blit(images: Tensor, flip: Tensor, turns: Tensor, shift: Tensor) -> Tensor:
    """Flip, then turn, then shift each image, copying pixels.

    Args:
        images: NCHH.
        flip: N, bool; mirrored left to right.
        turns: N, int64; quarter turns as torch.rot90 counts them.
        shift: N2, int64, in pixels (down, right); what comes in is the reflection.
    """
    N, C, H, _ = images.shape
    line = torch.arange(H, device=images.device)
    row = _whole_reflected(line[None] - shift[:, :1], H)[:, :, None].expand(N, H, H)
    column = _whole_reflected(line[None] - shift[:, 1:], H)[:, None].expand(N, H, H)
    turn = (turns % 4)[:, None, None]
    odd = turn % 2 == 1
    row, column = torch.where(odd, column, row), torch.where(odd, H - 1 - row, column)
    half = turn >= 2
    row, column = torch.where(half, H - 1 - row, row), torch.where(half, H - 1 - column, column)
    column = torch.where(flip[:, None, None], H - 1 - column, column)
    index = row * H + column + H * H * torch.arange(N, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1).reshape(-1, C)[index].permute(0, 3, 1, 2)


def _whole_reflected(pixels: Tensor, size: int) -> Tensor:
    last = size - 1
    return last - (pixels.remainder(2 * last) - last).abs()


def recolour(images: Tensor, matrix: Tensor) -> Tensor:
    """Apply an affine map (N44) to the RGB of each image (N3HW)."""
    matrix = matrix.to(images)
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3]
    return torch.einsum("nij,njhw->nihw", linear, images) + offset[:, :, None, None]


def _where(p: float, drawn: Tensor, neutral: float, random: torch.Generator) -> Tensor:
    """Keep what was drawn for an image with probability p, else take the neutral value."""
    chosen = torch.rand(len(drawn), generator=random, device=random.device) < p
    return torch.where(chosen.view(-1, *[1] * (drawn.ndim - 1)), drawn, neutral)


def _uniform(shape: tuple[int, ...], bound: float, random: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=random, device=random.device) - 1) * bound


def _normal(shape: tuple[int, ...], std: float, random: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=random, device=random.device) * std


def _whole(count: int, below: int, random: torch.Generator) -> Tensor:
    return torch.randint(below, (count,), generator=random, device=random.device)


def draw_blit(
    count: int, size: int, p: float, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw ``blit``'s arguments: a flip in half of the cases, 0-3 turns, up to H/8 of shift."""
    flip = _where(p, _whole(count, 2, random), 0, random) == 1
    turns = _where(p, _whole(count, 4, random), 0, random)
    shift = _where(p, _uniform((count, 2), _MAX_SHIFT, random), 0, random)
    return flip, turns, (shift * size).round().long()


def draw_warp(count: int, size: int, p: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw ``Augment.warp``'s arguments.

    In this order: one scale for both axes, a rotation, a scale of the axes against each other, a
    second rotation, a shift. The two rotations together act with probability p.
    """
    shape, turning = (count,), 1 - math.sqrt(1 - p)
    both = _where(p, _normal(shape, _SCALE_STD, random), 0, random).exp()
    before = _where(turning, _uniform(shape, math.pi, random), 0, random)
    against = _where(p, _normal(shape, _SCALE_STD, random), 0, random).exp()
    after = _where(turning, _uniform(shape, math.pi, random), 0, random)
    shift = _where(p, _normal((count, 2), _SHIFT_STD, random), 0, random) * size
    # Rows shrink where columns grow.
    stretch = torch.diag_embed(torch.stack([1 / against, against], dim=1))
    linear = rotation(after) @ stretch @ rotation(before) * both[:, None, None]
    return linear, shift


def rotation(angle: Tensor) -> Tensor:
    """Return N22 that turn (row, column) anticlockwise, as seen, by ``angle`` in radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


def draw_colour(count: int, p: float, random: torch.Generator) -> Tensor:
    """Draw ``recolour``'s matrices N44."""
    shape = (count,)
    return colour_matrix(
        brightness=_where(p, _normal(shape, _BRIGHTNESS_STD, random), 0, random),
        contrast=_where(p, _normal(shape, _CONTRAST_STD, random), 0, random).exp(),
        luma_flip=_where(p, _whole(count, 2, random).float(), 0, random),
        hue=_where(p, _uniform(shape, math.pi, random), 0, random),
        saturation=_where(p, _normal(shape, _SATURATION_STD, random), 0, random).exp(),
    )


def colour_matrix(
    *, brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Compose the colour transforms in this order to N44, acting on (r, g, b, 1).

    Args:
        brightness: N, added to each channel.
        contrast: N, factor of each channel.
        luma_flip: N, 1 where the luma is to change its sign, else 0.
        hue: N, rotation about the grey axis in radians.
        saturation: N, factor of the distance from the grey axis.
    """
    one = torch.eye(3).to(brightness)
    grey = torch.full_like(one, 1 / 3)
    x, y, z = one * math.sqrt(1 / 3)
    cross = torch.stack([z - y, x - z, y - x])
    bend = [value[:, None, None] for value in (contrast, luma_flip, hue, saturation)]
    c, flip, angle, s = bend
    rotate = grey + (one - grey) * angle.cos() + cross * angle.sin()
    linear = (grey + (one - grey) * s) @ rotate @ (one - 2 * flip * grey) * c
    # The offset comes first, so that all that follows acts on it.
    offset = linear.sum(dim=2, keepdim=True) * brightness[:, None, None]
    affine = torch.cat([linear, offset], dim=2)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0]).to(affine).expand(len(affine), 1, 4)
    return torch.cat([affine, last], dim=1)
