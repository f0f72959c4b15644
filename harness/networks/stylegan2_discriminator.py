"""StyleGAN2's discriminator (arXiv 1912.04958, figure 7c), with MMagic's names and signature.

Shape letters: N images, C channels, H W pixels.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.minibatch_stddev import minibatch_stddev
from harness.networks.modulated import TAPS, BiasedActivation, channels_by_side
from harness.networks.style_layers import Blur, Downsample, StyleLinear
from harness.ranks.shares import Share
from harness.registry import MODELS


class EqualConv(nn.Module):
    """Convolution with equalised learning rate and without bias.

    ``conv.weight_orig`` is drawn from N(0, 1) and multiplied by 1 / sqrt(fan-in) in forward.

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W'), H' as stride and padding make it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Module()
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.conv.register_parameter("weight_orig", nn.Parameter(torch.randn(shape)))
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in_channels, H, W)."""
        weight = self.conv.get_parameter("weight_orig") * self.scale
        return functional.conv2d(x, weight, stride=self.stride, padding=self.padding)


def conv_layer(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Return a convolution that keeps the size, with its activation."""
    conv = EqualConv(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(conv, BiasedActivation(out_channels))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions to half the size, beside a 1x1 one (1912.04958, figure 7c).

    The sum is divided by sqrt(2), which keeps the variance (appendix B).

    Shape: (N, in_channels, H, W) to (N, out_channels, H/2, W/2).
    """

    def __init__(self, in_channels: int, out_channels: int, taps: Sequence[float]) -> None:
        super().__init__()
        rest = len(taps)
        self.conv1 = conv_layer(in_channels, in_channels, 3)
        self.conv2 = nn.Sequential(
            Blur(taps, ((rest + 1) // 2, rest // 2)),
            EqualConv(in_channels, out_channels, 3, stride=2),
            BiasedActivation(out_channels),
        )
        self.skip = nn.Sequential(Downsample(taps), EqualConv(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to half the size."""
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


@MODELS.register_module()
class StyleGAN2Discriminator(nn.Module):
    """Residual discriminator with filtered downsampling (1912.04958, figure 7c).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.

    Args:
        in_size: pixels of a side, a power of two from 4.
        channel_multiplier: of the channels from 64 px on.
        blur_kernel: taps of the filter before downsampling.
        mbstd_cfg: ``group_size``, images in a group of the minibatch stddev, None for the whole
            batch; and ``channel_groups``, the channels that it appends. By default 4 and 1.
        base_channels: as StyleGAN2Generator's.
        max_channels: as StyleGAN2Generator's.
        paper_form: without effect: MMagic's is the paper's.

    Raises:
        SpecError: an argument is none of the above.
    """

    def __init__(
        self,
        in_size: int,
        channel_multiplier: float = 2,
        blur_kernel: Sequence[float] = TAPS,
        mbstd_cfg: Mapping[str, int | None] | None = None,
        *,
        base_channels: int | None = None,
        max_channels: int | None = None,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        widths = channels_by_side(
            "in_size", in_size, channel_multiplier, base_channels, max_channels
        )
        self.in_size = in_size
        self.group_size, self.groups = _mbstd(mbstd_cfg, widths[4])
        falling = list(widths.values())[::-1]
        self.convs = nn.Sequential(
            conv_layer(3, falling[0], 1),
            *(ResidualBlock(width, below, blur_kernel) for width, below in pairwise(falling)),
        )
        last = falling[-1]
        self.final_conv = conv_layer(last + self.groups, last, 3)
        self.final_linear = nn.Sequential(
            StyleLinear(last * 16, last, activate=True), StyleLinear(last, 1)
        )

    def forward(self, x: Tensor, share: Share | None = None) -> Tensor:
        """Score images.

        Args:
            x: (N, 3, in_size, in_size), real images in [-1, 1].
            share: which images of a batch they are that other processes have the rest of.

        Returns:
            (N, 1), log-odds that the image is real.

        Raises:
            DataError: the images are not of the shape above.
        """
        expected = (3, self.in_size, self.in_size)
        if tuple(x.shape[1:]) != expected:
            raise DataError(f"images are {tuple(x.shape)}: give (N, C, H, W), C H W = {expected}")
        features = self.convs(x)
        spread = [
            minibatch_stddev(group, self.group_size, share)[:, -1:]
            for group in features.chunk(self.groups, dim=1)
        ]
        features = self.final_conv(torch.cat([features, *spread], dim=1))
        return self.final_linear(features.flatten(1))


def _mbstd(given: Mapping[str, int | None] | None, channels: int) -> tuple[int | None, int]:
    """Return group size and channel groups."""
    known = {"group_size": 4, "channel_groups": 1}
    cfg = known | dict(given or {})
    size, groups = cfg["group_size"], cfg["channel_groups"]
    if set(cfg) != set(known) or not groups or channels % groups or (size is not None and size < 1):
        raise SpecError(
            [
                f"mbstd_cfg is {dict(given or {})}: give group_size of 1 or more, or None, and "
                f"channel_groups that divide {channels} channels"
            ]
        )
    return size, groups
