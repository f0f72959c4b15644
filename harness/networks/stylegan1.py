"""StyleGAN's generator and discriminator (arXiv 1812.04948), with MMagic's names and signatures.

Shape letters: N images, C channels, H W pixels, Z latent, D style, L layers that take a style.
Images are NCHW float32, real ones in [-1, 1]. Level l stands for the scale 4 * 2**l; each level
has two layers that take a style.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError
from harness.networks.layers import (
    SLOPE,
    ConvBlock,
    EqualizedConv2d,
    EqualizedLinear,
    MinibatchStddev,
    PixelNorm,
)
from harness.networks.pggan import Config, channel_widths, level_of, mbstd_group
from harness.networks.style_layers import (
    Blur,
    NoiseInjection,
    StyleLinear,
    StyleMapping,
    register_noise,
    style_layers,
)
from harness.registry import MODELS

Styles = Tensor | Sequence[Tensor] | Callable[[tuple[int, int]], Tensor] | None

MEAN_DECAY = 0.995
"""Share of the old mean style that a training step keeps (1812.04948, the authors' code)."""


class ConstantInput(nn.Module):
    """The learned start (1, C, 4, 4) of all images, in which the latent has no part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.ones(1, channels, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the constant for each of N."""
        return self.input.expand(len(x), -1, -1, -1)


class AdaIN(nn.Module):
    """Normalise each image's channels, then scale and shift them by its style (section 2, eq. 1).

    Shape: (N, C, H, W) and (N, D) to (N, C, H, W).
    """

    def __init__(self, channels: int, style_channels: int, eps: float) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_channels, 2 * channels, gain=1)
        with torch.no_grad():
            self.affine.bias[:channels] = 1
        self.eps = eps

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Give (N, C, H, W) the style (N, D)."""
        scale, shift = self.affine(style)[..., None, None].chunk(2, dim=1)
        return scale * functional.instance_norm(x, eps=self.eps) + shift


class StyleBlock(nn.Module):
    """The two layers of a level: convolution, noise, LeakyReLU and AdaIN each (figure 1b).

    MMagic has a LeakyReLU within its convolutions too, so that negative numbers meet two of them;
    the paper's form has one, after the noise.

    Args:
        below: channels of the level below; None at 4x4, which begins with a constant.
        channels: C.
        blur_kernel: taps of the filter after upsampling.

    Shape: (N, below, H, W) to (N, C, 2H, 2W); at 4x4 anything with N to (N, C, 4, 4).
    """

    def __init__(
        self,
        below: int | None,
        channels: int,
        style_channels: int,
        blur_kernel: Sequence[float],
        paper_form: bool,
    ) -> None:
        super().__init__()
        eps = 1e-8 if paper_form else 1e-5
        noise_channels = channels if paper_form else None
        if below is None:
            self.conv1: nn.Module = ConstantInput(channels)
        else:
            fan_in = None if paper_form else 9 * channels
            up = EqualizedConv2d(below, channels, 3, resample="up", fan_in=fan_in)
            rest = len(blur_kernel) - 1
            blur = Blur(blur_kernel, pad=((rest + 1) // 2, rest // 2))
            self.conv1 = nn.Sequential(ConvBlock(up, activate=not paper_form), blur)
        self.noise_injector1 = NoiseInjection(noise_channels)
        self.adain1 = AdaIN(channels, style_channels, eps)
        self.conv2 = ConvBlock(EqualizedConv2d(channels, channels, 3), activate=not paper_form)
        self.noise_injector2 = NoiseInjection(noise_channels)
        self.adain2 = AdaIN(channels, style_channels, eps)

    def forward(self, x: Tensor, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Apply both layers: styles (N, 2, D), noise two of (N or 1, 1, side, side)."""
        x = self.noise_injector1(self.conv1(x), noise[0])
        x = self.adain1(functional.leaky_relu(x, SLOPE), styles[:, 0])
        x = self.noise_injector2(self.conv2(x), noise[1])
        return self.adain2(functional.leaky_relu(x, SLOPE), styles[:, 1])


@MODELS.register_module()
class StyleGAN1Generator(nn.Module):
    """Progressively growing style-based generator (1812.04948, figure 1b).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` follows the paper and its authors' code instead:

    - One LeakyReLU in a layer, after the noise; MMagic has another in each convolution.
    - Noise has a weight for each channel (section 2); MMagic has one for each layer.
    - He's fan-in of an upsampling convolution is in_channels * 9, not out_channels * 9; the gain of
      the layers to RGB is 1, not sqrt(2).
    - Pixel and instance norm have 1e-8 under the root.
    - The mean style is followed during training and kept, as the buffer ``mean_latent``; MMagic's
      is computed when asked for, a function of the weights alone, so it is never an old one.

    Args:
        out_size: pixels of a side at full size, a power of two from 4.
        style_channels: Z, and as many D.
        num_mlps: layers of the mapping network.
        blur_kernel: taps of the filter after upsampling.
        lr_mlp: multiplier of the mapping network's learning rate.
        default_style_mode: ``"mix"`` or ``"single"``: whether latents that are drawn here, in
            training mode, are mixed.
        eval_style_mode: the same in evaluation mode.
        mix_prob: share of images that are mixed (section 3.1).
        base_channels: the channels at r pixels are 2 * base_channels / r, ...
        max_channels: ... but never more than this.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    def __init__(
        self,
        out_size: int,
        style_channels: int,
        num_mlps: int = 8,
        blur_kernel: Sequence[float] = (1, 2, 1),
        lr_mlp: float = 0.01,
        default_style_mode: str = "mix",
        eval_style_mode: str = "single",
        mix_prob: float = 0.9,
        *,
        base_channels: int = 8192,
        max_channels: int = 512,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        widths = channel_widths(out_size, base_channels, 1.0, max_channels)
        self.out_size = out_size
        self.noise_size = self.style_channels = style_channels
        norm = PixelNorm() if paper_form else None
        self.style_mapping = StyleMapping(style_channels, num_mlps, lr_mlp, norm)
        self.convs = nn.ModuleList(
            StyleBlock(below, width, style_channels, blur_kernel, paper_form)
            for below, width in pairwise([None, *widths])
        )
        gain = 1 if paper_form else 2**0.5
        self.to_rgbs = nn.ModuleList(
            ConvBlock(EqualizedConv2d(width, 3, 1, gain=gain), activate=False) for width in widths
        )
        register_noise(self, self.noise_sides(out_size))

    def noise_sides(self, scale):
        return [2**k for k in range(2, scale.bit_length()) for _ in (0, 1)]

    def forward(
        self,
        styles,
        num_batches=-1,
        return_noise=False,
        return_latents=False,
        inject_index=None,
        truncation=1,
        truncation_latent=None,
        input_is_latent=False,
        injected_noise=None,
        randomize_noise=True,
        transition_weight=1.0,
        curr_scale=-1,
    ):
        level = level_of(curr_scale, self.out_size)
        ss = [styles] if isinstance(styles, Tensor) else styles
        ws = [self.style_mapping(s) for s in ss]
        w = style_layers(ws, inject_index, 2 * level + 2)
        noise = [getattr(self, f"injected_noise_{i}") for i in range(2 * level + 2)]
        x = w
        for i in range(level + 1):
            below = x
            x = self.convs[i](x, w[:, 2 * i : 2 * i + 2], noise[2 * i : 2 * i + 2])
        image = self.to_rgbs[level](x)
        if level and transition_weight < 1:
            old = functional.interpolate(self.to_rgbs[level - 1](below), scale_factor=2)
            image = torch.lerp(old, image, transition_weight)
        return image


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
        base_channels: the channels at r pixels are 2 * base_channels / r, ...
        max_channels: ... but never more than this.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of the above.
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
        widths = channel_widths(in_size, base_channels, 1.0, max_channels)[::-1]
        self.in_size = in_size
        self.from_rgb = nn.ModuleList(
            ConvBlock(EqualizedConv2d(3, width, 1 if paper_form else 3)) for width in widths
        )
        rest = len(blur_kernel) - 1
        pad = ((rest + 1) // 2, rest // 2)
        self.convs = nn.ModuleList(
            nn.Sequential(
                ConvBlock(EqualizedConv2d(width, width, 3)),
                Blur(blur_kernel, pad),
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
        self, input: Tensor, transition_weight: float = 1.0, curr_scale: int = -1
    ) -> Tensor:
        """Score images.

        Args:
            input: (N, 3, curr_scale, curr_scale), real images in [-1, 1].
            transition_weight: share in [0, 1] of the newest level while it fades in; without
                effect at 4x4.
            curr_scale: pixels of a side, -1 for in_size.

        Returns:
            (N, 1), unbounded: the log-odds that an image is real.

        Raises:
            SpecError: curr_scale is not possible.
            DataError: the images are not of the shape above.
        """
        level = level_of(curr_scale, self.in_size)
        side = 4 * 2**level
        if tuple(input.shape[1:]) != (3, side, side):
            raise DataError(f"images are {tuple(input.shape)}: give (N, 3, {side}, {side})")
        newest = len(self.from_rgb) - 1 - level
        x = self.from_rgb[newest](input)
        for step in range(newest, len(self.from_rgb) - 1):
            x = self.convs[step](x)
            if step == newest and transition_weight < 1:
                old = self.from_rgb[step + 1](functional.avg_pool2d(input, 2))
                x = torch.lerp(old, x, transition_weight)
        return self.final_linear(self.convs[-1](self.mbstd(x)).flatten(1))
