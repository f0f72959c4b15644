"""A level of StyleGAN's generator (arXiv 1812.04948, figure 1b).

Shape letters: N images, C channels, H W pixels, D style.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.networks.layers import SLOPE, ConvBlock, EqualizedConv2d, EqualizedLinear
from harness.networks.style_layers import Blur, NoiseInjection


def same_size_blur(taps: Sequence[float]) -> Blur:
    """Return a filter that keeps the size."""
    rest = len(taps) - 1
    return Blur(taps, pad=((rest + 1) // 2, rest // 2))


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
        scale_one = torch.cat([torch.ones(channels), torch.zeros(channels)])
        self.affine.bias = nn.Parameter(scale_one)
        self.eps = eps

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Give (N, C, H, W) the style (N, D)."""
        scale, shift = self.affine(style)[..., None, None].chunk(2, dim=1)
        return scale * functional.instance_norm(x, eps=self.eps) + shift


class StyleBlock(nn.Module):
    """The two layers of a level: convolution, noise, LeakyReLU and AdaIN each (figure 1b).

    MMagic has a LeakyReLU within the upsampling convolution too, so that negative numbers meet two
    of them; the paper's form has one, after the noise.

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
            conv = EqualizedConv2d(below, channels, 3)
            up = ConvBlock(conv, upsample=True, activate=not paper_form)
            self.conv1 = nn.Sequential(up, same_size_blur(blur_kernel))
        self.noise_injector1 = NoiseInjection(noise_channels)
        self.adain1 = AdaIN(channels, style_channels, eps)
        self.conv2 = ConvBlock(EqualizedConv2d(channels, channels, 3), activate=False)
        self.noise_injector2 = NoiseInjection(noise_channels)
        self.adain2 = AdaIN(channels, style_channels, eps)

    def forward(self, x: Tensor, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Apply both layers: styles (N, 2, D), noise two of (N or 1, 1, side, side)."""
        x = self.noise_injector1(self.conv1(x), noise[0])
        x = self.adain1(functional.leaky_relu(x, SLOPE), styles[:, 0])
        x = self.noise_injector2(self.conv2(x), noise[1])
        return self.adain2(functional.leaky_relu(x, SLOPE), styles[:, 1])
