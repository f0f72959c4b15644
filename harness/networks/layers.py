"""Layers of PGGAN (arXiv 1710.10196): equalised learning rate, pixel norm.

Every layer is a plain module: its parameters are leaves and what is derived from them (the scaled
weight, the 4x4 kernel of a fused layer) lives for one forward only. So a module can be copied,
pickled and compiled at any time, also after a forward.

Shape letters: N images, C channels, H W pixels, Z latent.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.networks.norm_gradient import pixel_norm

Resample = Literal["none", "up", "down"]

SLOPE = 0.2
"""Negative slope of every LeakyReLU (1710.10196, appendix A.1)."""

HE_GAIN = math.sqrt(2)
"""Gain of He's initialiser (arXiv 1502.01852) before a rectifier; 1 before a linear output."""

TINY = 1e-30
"""Keeps a root's gradient finite at zero and changes no float32 result."""


class PixelNorm(nn.Module):
    """Divide each pixel's feature vector by its root mean square (1710.10196, section 4.2).

    The divisor is sqrt(mean square + under_root) + beside_root. The paper's is the default;
    MMagic adds to the root only.

    Args:
        under_root: above 0, or the gradient is not a number where all features are zero.
        beside_root: see above.
        written: compute its gradient in closed form, which can be differentiated no further; the
            same but for rounding.

    Shape: (N, C, ...) to the same; the mean of squares over C becomes 1.
    """

    def __init__(
        self, *, under_root: float = 1e-8, beside_root: float = 0.0, written: bool = False
    ) -> None:
        super().__init__()
        self.written = written
        self.under_root = under_root
        self.beside_root = beside_root

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...) over C."""
        if self.written:
            return pixel_norm(x, self.under_root, self.beside_root)
        mean_square = (x * x).mean(dim=1, keepdim=True)
        return x / ((mean_square + self.under_root).sqrt() + self.beside_root)


class EqualizedLinear(nn.Module):
    """Linear layer with equalised learning rate (1710.10196, section 4.1).

    ``weight_orig`` is drawn from N(0, 1) and multiplied by gain / sqrt(in_features) in forward.

    Shape: (N, in_features) to (N, out_features).
    """

    def __init__(
        self, in_features: int, out_features: int, *, gain: float = HE_GAIN, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.scale = gain / math.sqrt(in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return functional.linear(x, self.weight_orig * self.scale, self.bias)


def _spread(*, average: bool) -> Tensor:
    """Matrix (9, 16) that adds, or averages, four copies of a 3x3 kernel in a 4x4's corners."""
    spread = torch.zeros(3, 3, 4, 4)
    for row in range(3):
        for column in range(3):
            spread[row, column, row : row + 2, column : column + 2] = 0.25 if average else 1
    return spread.view(9, 16)


class EqualizedConv2d(nn.Module):
    """Convolution with equalised learning rate, alone or fused with a resampling by two.

    ``weight_orig`` is drawn from N(0, 1) and multiplied by gain / sqrt(fan_in) in forward
    (1710.10196, section 4.1). The fused forms spread the 3x3 kernel to 4x4, once for each of the
    four pixels that share a value, and stride over it:

    - ``"down"``: exactly the 3x3 convolution followed by 2x2 average pooling.
    - ``"up"``: exactly nearest upsampling followed by the 3x3 convolution, but transposed:
      ``weight_orig`` lies as (in, out, 3, 3) and its kernels are mirrored in height and width.

    Args:
        kernel_size: 3 in the fused forms; the zero padding keeps the size where it is odd, and an
            even one has no padding.
        gain: He's gain, 1 for a layer without a rectifier after it.
        fan_in: inputs that one output sums; in_channels * kernel_size**2 where None.

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W'), H' = H, 2H ("up") or H/2 ("down").
    """

    spread: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        resample: Resample = "none",
        gain: float = HE_GAIN,
        fan_in: int | None = None,
    ) -> None:
        super().__init__()
        assert kernel_size == 3 or resample == "none"
        channels = (in_channels, out_channels) if resample == "up" else (out_channels, in_channels)
        self.weight_orig = nn.Parameter(torch.randn(*channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = gain / math.sqrt(fan_in or in_channels * kernel_size**2)
        self.padding = kernel_size // 2 if kernel_size % 2 else 0
        self.resample = resample
        spread = _spread(average=resample == "down") if resample != "none" else None
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in_channels, H, W)."""
        kernel = self._kernel()
        if self.resample == "none":
            return functional.conv2d(x, kernel, self.bias, padding=self.padding)
        if self.resample == "down":
            return functional.conv2d(x, kernel, self.bias, stride=2, padding=1)
        return functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)

    def transposed(self, gradient: Tensor) -> Tensor:
        """Take the gradient by the output of a layer that does not upsample to that by its input.

        Unlike autograd's, it is an operation on its argument and on the weight like any other.
        """
        assert self.resample != "up"
        stride, padding = (2, 1) if self.resample == "down" else (1, self.padding)
        return functional.conv_transpose2d(gradient, self._kernel(), stride=stride, padding=padding)

    def _kernel(self) -> Tensor:
        # Scaling the weight costs less than scaling the features.
        weight = self.weight_orig * self.scale
        if self.resample == "none":
            return weight
        return (weight.flatten(2) @ self.spread).unflatten(2, (4, 4))


class ConvBlock(nn.Module):
    """Convolution and, where asked for, LeakyReLU, pooling and pixel norm.

    Args:
        conv: the convolution; may be a fused one.
        upsample: nearest upsampling by two before the convolution.
        activate: LeakyReLU after the convolution.
        pool: 2x2 average pooling after the LeakyReLU (1710.10196, table 2).
        norm: at the end.

    Shape: (N, C, H, W) to (N, C', H', W'), H' as ``conv``, ``upsample`` and ``pool`` make it.
    """

    def __init__(
        self,
        conv: EqualizedConv2d,
        *,
        upsample: bool = False,
        activate: bool = True,
        pool: bool = False,
        norm: PixelNorm | None = None,
    ) -> None:
        super().__init__()
        self.conv = conv
        self.upsample = upsample
        self.activate = activate
        self.pool = pool
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        if self.upsample:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.after(self.conv(x))

    def after(self, x: Tensor) -> Tensor:
        """Do all that follows the convolution."""
        if self.activate:
            x = functional.leaky_relu(x, SLOPE)
        if self.pool:
            x = functional.avg_pool2d(x, 2)
        return x if self.norm is None else self.norm(x)


class NoiseTo4x4(nn.Module):
    """Latents to 4x4 features: the 4x4 convolution of a 1x1 latent (1710.10196, table 2).

    The latent is normalised to the hypersphere first (appendix A.1). He's fan-in is that of the
    padded convolution, 16 * Z, though only Z inputs meet in one output: hence gain / 4.

    Shape: (N, Z) to (N, C, 4, 4).
    """

    def __init__(
        self, noise_size: int, channels: int, latent_norm: PixelNorm, norm: PixelNorm
    ) -> None:
        super().__init__()
        self.latent_norm = latent_norm
        self.norm = norm
        self.linear = EqualizedLinear(noise_size, channels * 16, gain=HE_GAIN / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, noise: Tensor) -> Tensor:
        """Map (N, Z) to (N, C, 4, 4)."""
        x: Tensor = self.linear(self.latent_norm(noise)).view(len(noise), -1, 4, 4)
        return self.norm(functional.leaky_relu(x + self.bias, SLOPE))


class Decision(nn.Module):
    """The critic's last two layers: a 4x4 convolution to 1x1, then a linear score.

    Shape: (N, C, 4, 4) to (N, 1).
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.linear0 = EqualizedLinear(in_channels * 16, channels)
        self.linear1 = EqualizedLinear(channels, 1, gain=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, 4, 4) to (N, 1)."""
        return self.linear1(functional.leaky_relu(self.linear0(x.flatten(1)), SLOPE))
