"""PGGAN's critic (arXiv 1710.10196, table 2), with MMagic's names and signature.

Shape letters: N images, C channels, H W pixels. Images are NCHW float32, real ones in [-1, 1].
Level l stands for the scale 4 * 2**l: level 0 is 4x4, level 1 is 8x8.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError
from harness.networks.layers import ConvBlock, Decision, EqualizedConv2d
from harness.networks.levels import Config, channel_widths, check_arguments, level_of, mbstd_group
from harness.networks.minibatch_stddev import MinibatchStddev
from harness.ranks.shares import Share
from harness.registry import MODELS


@MODELS.register_module()
class PGGANDiscriminator(nn.Module):
    """Progressively growing critic (1710.10196, table 2 and section 2).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints; there
    ``conv_blocks.0`` has weights that no image meets. ``paper_form=True`` follows the paper:

    - ``conv_blocks.0`` is table 2's 3x3 convolution at 4x4. It follows the minibatch stddev and
      has C + 1 inputs, so ``decision.linear0``, the 4x4 convolution after it, has C * 16.
    - Pooling follows the LeakyReLU (table 2), as with ``fused_convdown=False``. A fused layer
      cannot do that: the argument has no effect.
    - The stddev is that of the whole batch (section 3), unless mbstd_cfg says otherwise.

    Args:
        in_scale: pixels of a side at full size, a power of two from 4.
        label_size: only 0.
        base_channels: level l has base_channels / 2**((l + 1) * channel_decay) channels, ...
        max_channels: ... but never more than this.
        in_channels: an image's channels.
        channel_decay: see base_channels.
        mbstd_cfg: ``{"group_size": G}``, images in a group of the minibatch stddev, None for the
            whole batch. By default 4, in the paper's form the whole batch.
        fused_convdown: pool within a 4x4 convolution, before the LeakyReLU; else after it.
        conv_module_cfg: not to be given; the layers are fixed. Likewise the next three.
        fused_convdown_cfg: see conv_module_cfg.
        fromrgb_layer_cfg: see conv_module_cfg.
        downsample_cfg: see conv_module_cfg.
        paper_form: see above.
        channels_last: compute with each pixel's features side by side; the same but for rounding.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    def __init__(
        self,
        in_scale: int,
        label_size: int = 0,
        base_channels: int = 8192,
        max_channels: int = 512,
        in_channels: int = 3,
        channel_decay: float = 1.0,
        mbstd_cfg: Config = None,
        fused_convdown: bool = True,
        conv_module_cfg: Config = None,
        fused_convdown_cfg: Config = None,
        fromrgb_layer_cfg: Config = None,
        downsample_cfg: Config = None,
        *,
        paper_form: bool = False,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        fixed = {
            "conv_module_cfg": conv_module_cfg,
            "fused_convdown_cfg": fused_convdown_cfg,
            "fromrgb_layer_cfg": fromrgb_layer_cfg,
            "downsample_cfg": downsample_cfg,
        }
        check_arguments("in_scale", in_scale, label_size, fixed)
        self.in_scale = in_scale
        self.in_channels = in_channels
        self.channels_last = channels_last
        self.paper_form = paper_form
        widths = channel_widths(in_scale, base_channels, channel_decay, max_channels)
        self.fromrgb_layers = nn.ModuleList(
            ConvBlock(EqualizedConv2d(in_channels, width, 1)) for width in widths
        )
        first = widths[0]
        blocks = [ConvBlock(EqualizedConv2d(first + paper_form, first, 3))]
        fused = fused_convdown and not paper_form
        for below, width in pairwise(widths):
            down = EqualizedConv2d(width, below, 3, resample="down" if fused else "none")
            blocks.append(ConvBlock(EqualizedConv2d(width, width, 3)))
            blocks.append(ConvBlock(down, pool=not fused))
        self.conv_blocks = nn.ModuleList(blocks)
        self.mbstd = MinibatchStddev(mbstd_group(mbstd_cfg, None if paper_form else 4))
        self.decision = Decision(first if paper_form else first + 1, first)

    def forward(
        self,
        x: Tensor,
        transition_weight: float = 1.0,
        curr_scale: int = -1,
        share: Share | None = None,
    ) -> Tensor:
        """Score images.

        Args:
            x: (N, in_channels, curr_scale, curr_scale), real images in [-1, 1].
            transition_weight: share in [0, 1] of the newest level while it fades in (figure 2);
                without effect at 4x4.
            curr_scale: pixels of a side, -1 for in_scale.
            share: which images of a batch they are that other processes have the rest of.

        Returns:
            (N, 1), unbounded; higher for what the critic takes for real.

        Raises:
            SpecError: curr_scale is not possible.
            DataError: the images are not of the shape above.
        """
        level = level_of(curr_scale, self.in_scale)
        self._check_images(x, 4 * 2**level)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        features = self.fromrgb_layers[level](x)
        for step in range(level, 0, -1):
            features = self.conv_blocks[2 * step](self.conv_blocks[2 * step - 1](features))
            if step == level and transition_weight < 1:
                old = self.fromrgb_layers[level - 1](functional.avg_pool2d(x, 2))
                features = torch.lerp(old, features, transition_weight)
        return self.head(features, share)

    def head(self, features: Tensor, share: Share | None = None) -> Tensor:
        """Score the (N, C, 4, 4) features of the last resolution."""
        features = self.mbstd(features, share)
        if self.paper_form:
            features = self.conv_blocks[0](features)
        return self.decision(features)

    def _check_images(self, x: Tensor, side: int) -> None:
        expected = (self.in_channels, side, side)
        if tuple(x.shape[1:]) != expected:
            raise DataError(f"images are {tuple(x.shape)}: give (N, C, H, W), C H W = {expected}")
