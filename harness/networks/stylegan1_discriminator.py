"""StyleGAN's discriminator (arXiv 1812.04948, appendix C), with MMagic's names and signature.

Shape letters: N images, C channels, H W pixels. Images are NCHW float32, real ones in [-1, 1].
Level l stands for the scale 4 * 2**l.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.adain import same_size_blur
from harness.networks.layers import ConvBlock, EqualizedConv2d
from harness.networks.levels import Config, channel_widths, level_of, mbstd_group, size_problems
from harness.networks.minibatch_stddev import MinibatchStddev
from harness.networks.style_layers import StyleLinear
from harness.ranks.shares import Share
from harness.registry import MODELS


@MODELS.register_module()
class StyleGAN1Discriminator(nn.Module):
    """Progressively growing discriminator (1812.04948, appendix C; 1710.10196, table 2).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` follows the paper's authors instead: images meet a 1x1 convolution, and the
    4x4 convolution at the end has a LeakyReLU.

    Args:
        in_size: pixels of a side at full size, a power of two from 4.
        blur_kernel: taps of the filter before downsampling.
        mbstd_cfg: ``{"group_size": G}``, images in a group of the minibatch stddev.
        base_channels: as StyleGAN1Generator's; likewise the next.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of these.
    """

    def __init__(
        self,
        in_size: int,
        blur_kernel: Sequence[float] = (1, 2, 1),
        mbstd_cfg: Config = None,
        *,
        base_channels: int = 8192,
        max_channels: int = 512,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        if problems := size_problems("in_size", in_size):
            raise SpecError(problems)
        widths = channel_widths(in_size, base_channels, 1.0, max_channels)[::-1]
        self.in_size = in_size
        self.from_rgb = nn.ModuleList(
            ConvBlock(EqualizedConv2d(3, width, 1 if paper_form else 3)) for width in widths
        )
        self.convs = nn.ModuleList(
            nn.Sequential(
                ConvBlock(EqualizedConv2d(width, width, 3)),
                same_size_blur(blur_kernel),
                ConvBlock(EqualizedConv2d(width, below, 3, resample="down")),
            )
            for width, below in pairwise(widths)
        )
        first = widths[-1]
        self.convs.append(
            nn.Sequential(
                ConvBlock(EqualizedConv2d(first + 1, first, 3)),
                ConvBlock(EqualizedConv2d(first, first, 4), activate=paper_form),
            )
        )
        self.mbstd = MinibatchStddev(mbstd_group(mbstd_cfg, 4))
        self.final_linear = nn.Sequential(StyleLinear(first, 1))

    def forward(
        self,
        input: Tensor,
        transition_weight: float = 1.0,
        curr_scale: int = -1,
        share: Share | None = None,
    ) -> Tensor:
        """Score images.

        Args:
            input: (N, 3, curr_scale, curr_scale), real ones in [-1, 1].
            transition_weight: share in [0, 1] of the newest level; without effect at 4x4.
            curr_scale: pixels of a side, -1 for in_size.
            share: which images of a batch they are that other processes have the rest of.

        Returns:
            (N, 1), unbounded: the log-odds that an image is real.

        Raises:
            HarnessError: curr_scale or the images' shape is not possible.
        """
        level = level_of(curr_scale, self.in_size)
        if tuple(input.shape[1:]) != (3, side := 4 * 2**level, side):
            raise DataError(f"images are {tuple(input.shape)}: give (N, 3, {side}, {side})")
        newest = len(self.from_rgb) - 1 - level
        x = self.from_rgb[newest](input)
        for step in range(newest, len(self.from_rgb) - 1):
            x = self.convs[step](x)
            if step == newest and transition_weight < 1:
                old = self.from_rgb[step + 1](functional.avg_pool2d(input, 2))
                x = torch.lerp(old, x, transition_weight)
        return self.final_linear(self.convs[-1](self.mbstd(x, share)).flatten(1))
