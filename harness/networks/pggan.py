"""PGGAN's generator and critic (arXiv 1710.10196, table 2), with MMagic's names and signatures.

Shape letters: N images, C channels, H W pixels, Z latent. Images are NCHW float32, real ones in
[-1, 1]. Level l stands for the scale 4 * 2**l: level 0 is 4x4, level 1 is 8x8.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.layers import (
    TINY,
    ConvBlock,
    Decision,
    EqualizedConv2d,
    MinibatchStddev,
    NoiseTo4x4,
    PixelNorm,
    Resample,
)
from harness.networks.levels import (
    Config,
    channel_widths,
    level_of,
    mbstd_group,
    size_problems,
)
from harness.registry import MODELS

Noise = Tensor | Callable[[tuple[int, int]], Tensor] | None


def _check(name: str, scale: int, label_size: int, fixed: Mapping[str, Config]) -> None:
    """Raise SpecError with everything that is wrong with a network's arguments."""
    problems = [
        f"{key} is {cfg}: these layers are fixed, leave it out" for key, cfg in fixed.items() if cfg
    ]
    problems += size_problems(name, scale)
    if label_size:
        problems.append(f"label_size is {label_size}: labels are not supported, give 0")
    if problems:
        raise SpecError(problems)


@MODELS.register_module()
class PGGANGenerator(nn.Module):
    """Progressively growing generator (1710.10196, table 2 and section 2).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` follows the paper instead:

    - He's fan-in (section 4.1) of a fused upsampling convolution is in_channels * 9; MMagic
      counts out_channels * 9, which is less wherever the channels halve.
    - Pixel norm has 1e-8 under the root (section 4.2); MMagic adds 1e-5 to the root, and 1e-6 for
      the latent.

    Args:
        noise_size: Z; min(base_channels, max_channels) where None.
        out_scale: pixels of a side at full size, a power of two from 4.
        label_size: only 0.
        base_channels: level l has base_channels / 2**((l + 1) * channel_decay) channels, ...
        channel_decay: see base_channels.
        max_channels: ... but never more than this.
        fused_upconv: upsample within a transposed 4x4 convolution. Either way it is nearest
            upsampling and a 3x3 convolution, but of differently laid out weights.
        conv_module_cfg: not to be given; the layers are fixed. Likewise the next two.
        fused_upconv_cfg: see conv_module_cfg.
        upsample_cfg: see conv_module_cfg.
        paper_form: see above.
        channels_last: compute with each pixel's features side by side; the same but for rounding.
        written_gradients: of pixel norm, see there; the same but for rounding.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    def __init__(
        self,
        noise_size: int | None,
        out_scale: int,
        label_size: int = 0,
        base_channels: int = 8192,
        channel_decay: float = 1.0,
        max_channels: int = 512,
        fused_upconv: bool = True,
        conv_module_cfg: Config = None,
        fused_upconv_cfg: Config = None,
        upsample_cfg: Config = None,
        *,
        paper_form: bool = False,
        channels_last: bool = False,
        written_gradients: bool = False,
    ) -> None:
        super().__init__()
        fixed = {
            "conv_module_cfg": conv_module_cfg,
            "fused_upconv_cfg": fused_upconv_cfg,
            "upsample_cfg": upsample_cfg,
        }
        _check("out_scale", out_scale, label_size, fixed)
        self.noise_size = min(base_channels, max_channels) if noise_size is None else noise_size
        self.out_scale = out_scale
        self.channels_last = channels_last
        widths = channel_widths(out_scale, base_channels, channel_decay, max_channels)
        under = 1e-8 if paper_form else TINY
        beside, beside_latent = (0.0, 0.0) if paper_form else (1e-5, 1e-6)
        norm = PixelNorm(under_root=under, beside_root=beside, written=written_gradients)
        latent_norm = PixelNorm(under_root=under, beside_root=beside_latent)
        self.noise2feat = NoiseTo4x4(self.noise_size, widths[0], latent_norm, norm)
        self.torgb_layers = nn.ModuleList(
            ConvBlock(EqualizedConv2d(width, 3, 1, gain=1), activate=False) for width in widths
        )
        blocks = [ConvBlock(EqualizedConv2d(widths[0], widths[0], 3), norm=norm)]
        for below, width in pairwise(widths):
            fan_in = 9 * (width if fused_upconv and not paper_form else below)
            resample: Resample = "up" if fused_upconv else "none"
            up = EqualizedConv2d(below, width, 3, resample=resample, fan_in=fan_in)
            blocks.append(ConvBlock(up, upsample=not fused_upconv, norm=norm))
            blocks.append(ConvBlock(EqualizedConv2d(width, width, 3), norm=norm))
        self.conv_blocks = nn.ModuleList(blocks)

    def forward(
        self,
        noise: Noise,
        num_batches: int = 0,
        return_noise: bool = False,
        transition_weight: float = 1.0,
        curr_scale: int = -1,
    ) -> Tensor | dict[str, Tensor]:
        """Make images.

        Args:
            noise: (N, Z); or a function that draws it, given the shape (N, Z); or None, for
                standard normal noise from torch's global generator.
            num_batches: N; needed where noise is no tensor.
            return_noise: return the noise too.
            transition_weight: share in [0, 1] of the newest level while it fades in (figure 2);
                without effect at 4x4.
            curr_scale: pixels of a side, -1 for out_scale.

        Returns:
            (N, 3, curr_scale, curr_scale), unbounded; with return_noise a dict of ``fake_img``
            and ``noise_batch``.

        Raises:
            SpecError: curr_scale or num_batches is not possible.
            DataError: the noise is not (N, Z).
        """
        level = level_of(curr_scale, self.out_scale)
        latent = self._latent(noise, num_batches)
        x = self.noise2feat(latent)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        x = below = self.conv_blocks[0](x)
        for step in range(1, level + 1):
            below = x
            x = self.conv_blocks[2 * step](self.conv_blocks[2 * step - 1](x))
        image = self.torgb_layers[level](x)
        if level and transition_weight < 1:
            old = functional.interpolate(self.torgb_layers[level - 1](below), scale_factor=2)
            image = torch.lerp(old, image, transition_weight)
        return {"fake_img": image, "noise_batch": latent} if return_noise else image

    def _latent(self, noise: Noise, num_batches: int) -> Tensor:
        if not isinstance(noise, Tensor):
            if num_batches < 1:
                raise SpecError([f"num_batches is {num_batches}: without noise give 1 or more"])
            shape = (num_batches, self.noise_size)
            noise = noise(shape) if noise else torch.randn(shape).to(self.noise2feat.bias)
        if noise.ndim != 2 or noise.shape[1] != self.noise_size:
            raise DataError(f"noise is {tuple(noise.shape)}: give (N, {self.noise_size})")
        return noise


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
        _check("in_scale", in_scale, label_size, fixed)
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

    def forward(self, x: Tensor, transition_weight: float = 1.0, curr_scale: int = -1) -> Tensor:
        """Score images.

        Args:
            x: (N, in_channels, curr_scale, curr_scale), real images in [-1, 1].
            transition_weight: share in [0, 1] of the newest level while it fades in (figure 2);
                without effect at 4x4.
            curr_scale: pixels of a side, -1 for in_scale.

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
        return self.head(features)

    def head(self, features: Tensor) -> Tensor:
        """Score the (N, C, 4, 4) features of the last resolution."""
        features = self.mbstd(features)
        if self.paper_form:
            features = self.conv_blocks[0](features)
        return self.decision(features)

    def _check_images(self, x: Tensor, side: int) -> None:
        expected = (self.in_channels, side, side)
        if tuple(x.shape[1:]) != expected:
            raise DataError(f"images are {tuple(x.shape)}: give (N, C, H, W), C H W = {expected}")
