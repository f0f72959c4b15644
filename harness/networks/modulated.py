"""Blocks of StyleGAN2 (arXiv 1912.04958): modulated convolution, skips to RGB, residual blocks.

Shape letters: N images, C channels, H W pixels, D style.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.networks.style_layers import (
    Blur,
    Downsample,
    NoiseInjection,
    StyleLinear,
    Upsample,
    scaled_leaky_relu,
)


class ModulatedConv2d(nn.Module):
    """Convolution whose weights an image's style scales (1912.04958, section 2.2).

    ``weight_orig`` times 1 / sqrt(fan-in) is scaled by the style for each input channel (equation
    1) and, to demodulate, divided by the norm of what meets in each output channel (equation 3).
    Both are factors of a channel, so they are laid on the features, before and after one
    convolution with the weights that all images share: section 2.2's grouped convolution with
    other roundings, and faster.

    Args:
        kernel_size: odd; zero padding keeps the size.
        style_channels: D.
        demodulate: equation 3.
        taps: of the blur after upsampling by two; no upsampling where None.

    Shape: (N, in_channels, H, W) and styles (N, D) to (N, out_channels, H', W'), H' = H or 2H.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_channels: int,
        *,
        demodulate: bool = True,
        taps: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        shape = (1, out_channels, in_channels, kernel_size, kernel_size)
        self.weight_orig = nn.Parameter(torch.randn(shape))
        self.style_modulation = StyleLinear(style_channels, in_channels, bias_init=1.0)
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.blur: Blur | None = None
        if taps is not None:
            rest = len(taps) - 1 - kernel_size
            self.blur = Blur(taps, ((rest + 1) // 2 + 1, rest // 2 + 1), gain=4.0)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Convolve (N, in_channels, H, W) under styles (N, D)."""
        factors = self.style_modulation(style)
        weight = self.weight_orig[0] * self.scale
        x = x * factors[:, :, None, None]
        if self.blur is None:
            x = functional.conv2d(x, weight, padding=self.padding)
        else:
            x = self.blur(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if not self.demodulate:
            return x
        squares = factors.square() @ weight.square().sum(dim=(2, 3)).T
        return x * (squares + 1e-8).rsqrt()[:, :, None, None]


class BiasedActivation(nn.Module):
    """Bias of each channel, LeakyReLU, times sqrt(2).

    Shape: (N, C, H, W) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Activate (N, C, H, W)."""
        return scaled_leaky_relu(x + self.bias.view(1, -1, 1, 1))


class StyledLayer(nn.Module):
    """Modulated 3x3 convolution, noise, activation (1912.04958, figure 2d).

    Shape: (N, in_channels, H, W), styles (N, D) and noise (N or 1, 1, H', W') to
    (N, out_channels, H', W').
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_channels: int,
        taps: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, style_channels, taps=taps)
        self.noise_injector = NoiseInjection()
        self.activate = BiasedActivation(out_channels)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) under a style."""
        return self.activate(self.noise_injector(self.conv(x, style), noise))


class ToRGB(nn.Module):
    """1x1 convolution to RGB, without demodulation, added to the doubled image of the level below.

    Shape: (N, C, H, W), styles (N, D) and, but for the first, (N, 3, H/2, W/2) to (N, 3, H, W).
    """

    def __init__(
        self, channels: int, style_channels: int, taps: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if taps is not None:
            self.upsample = Upsample(taps)
        self.conv = ModulatedConv2d(channels, 3, 1, style_channels, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, below: Tensor | None = None) -> Tensor:
        """Return the image so far (1912.04958, figure 7b)."""
        image = self.conv(x, style) + self.bias
        return image if below is None else image + self.upsample(below)


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
