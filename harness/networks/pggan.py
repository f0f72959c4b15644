"""PGGAN's networks (arXiv 1710.10196, table 2), with MMagic's names and signatures.

The critic stands in a file of its own.

Shape letters: N images, C channels, H W pixels, Z latent. Images are NCHW float32, real ones in
[-1, 1]. Level l stands for the scale 4 * 2**l: level 0 is 4x4, level 1 is 8x8.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.layers import (
    TINY,
    ConvBlock,
    EqualizedConv2d,
    NoiseTo4x4,
    PixelNorm,
    Resample,
)
from harness.networks.levels import Config, channel_widths, check_arguments, level_of
from harness.networks.pggan_discriminator import PGGANDiscriminator
from harness.registry import MODELS

__all__ = ["PGGANDiscriminator", "PGGANGenerator"]

Noise = Tensor | Callable[[tuple[int, int]], Tensor] | None


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
        check_arguments("out_scale", out_scale, label_size, fixed)
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
