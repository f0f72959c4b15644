"""Layers that StyleGAN (arXiv 1812.04948) and StyleGAN2 (arXiv 1912.04958) share.

All are plain modules of torch's own operations: nothing is compiled, on any device, and a module
can be copied and pickled at any time.

Shape letters: N images, C channels, H W pixels, Z latent, D style, L layers that take a style.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.layers import HE_GAIN, SLOPE, TINY, EqualizedLinear, PixelNorm
from harness.seeding import generator as stream


class StyleLinear(nn.Module):
    """Linear layer with equalised learning rate, times a multiplier of that rate.

    ``linear.weight_orig`` is drawn from N(0, 1) / lr_mul and multiplied by
    lr_mul / sqrt(in_features) in forward, the bias by lr_mul: the outputs are those of a layer
    without the multiplier, their steps under Adam lr_mul times as long (1812.04948, appendix C).

    Args:
        activate: LeakyReLU, then times sqrt(2), which keeps the variance.
        bias_init: the bias's effective initial value.

    Shape: (N, in_features) to (N, out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr_mul: float = 1.0,
        activate: bool = False,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.linear = EqualizedLinear(in_features, out_features, gain=lr_mul, bias=False)
        with torch.no_grad():
            self.linear.weight_orig.div_(lr_mul)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_mul))
        self.lr_mul = lr_mul
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        x = self.linear(x) + self.bias * self.lr_mul
        return scaled_leaky_relu(x) if self.activate else x


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """LeakyReLU times sqrt(2), which keeps the variance of normal inputs about as it is."""
    return functional.leaky_relu(x, SLOPE) * HE_GAIN


class StyleMapping(nn.Sequential):
    """The mapping network: pixel norm and equal layers from z to w (1812.04948, section 2).

    Args:
        style_channels: Z, and as many D.
        num_mlps: layers.
        lr_mul: multiplier of their learning rate (appendix C).
        norm: of the latent; MMagic's by default.

    Shape: (N, Z) to (N, D).
    """

    def __init__(
        self,
        style_channels: int,
        num_mlps: int = 8,
        lr_mul: float = 0.01,
        norm: PixelNorm | None = None,
    ) -> None:
        layers = [
            StyleLinear(style_channels, style_channels, lr_mul=lr_mul, activate=True)
            for _ in range(num_mlps)
        ]
        super().__init__(norm or PixelNorm(under_root=TINY, beside_root=1e-6), *layers)
        self.style_channels = style_channels

    @torch.no_grad()
    def mean_style(self, count: int = 4096) -> Tensor:
        """Return the mean (1, D) of ``count`` styles: a function of the weights alone."""
        bias = next(self.parameters())
        latents = torch.randn(count, self.style_channels, generator=stream(0, "mean style"))
        return self(latents.to(bias)).mean(dim=0, keepdim=True)


class NoiseInjection(nn.Module):
    """Add noise, weighted (1812.04948, section 2).

    Args:
        channels: the paper's weight for each channel; one for the layer, as MMagic, where None.

    Shape: (N, C, H, W) and noise (N or 1, 1, H, W) to (N, C, H, W).
    """

    def __init__(self, channels: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels or 1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Add ``noise`` to (N, C, H, W)."""
        return x + self.weight.view(1, -1, 1, 1) * noise


def upfirdn(
    x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int]
) -> Tensor:
    """Insert zeros, pad, filter, and keep every ``down``-th pixel, alike in height and width.

    Args:
        x: (N, C, H, W).
        kernel: (K, K); a convolution, so it is mirrored before it is laid on.
        up: pixels that one becomes, up - 1 zeros after each.
        down: stride of what is kept.
        pad: zeros before and after; negative ones crop.

    Returns:
        (N, C, H', W') with H' = (H * up + sum(pad) - K) // down + 1.
    """
    N, C, H, W = x.shape
    if up > 1:
        spread = functional.pad(x.reshape(N, C, H, 1, W, 1), (0, up - 1, 0, 0, 0, up - 1))
        x = spread.view(N, C, H * up, W * up)
    x = functional.pad(x, (*pad, *pad)) if any(pad) else x
    # Depthwise: 8 to 20 times as fast on a CPU as one channel with N * C images.
    weight = kernel.flip(0, 1).to(x.dtype).expand(C, 1, *kernel.shape)
    return functional.conv2d(x, weight, stride=down, groups=C)


class Blur(nn.Module):
    """Filter with a separable kernel.

    Args:
        taps: its factor in one direction; the kernel's sum is 1, times ``gain``.
        pad: zeros before and after.
        gain: up**2 makes up for inserted zeros.

    Shape: (N, C, H, W) to (N, C, H', W'), H' = H + sum(pad) - len(taps) + 1.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float], pad: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(taps, gain))
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, H, W)."""
        return upfirdn(x, self.kernel, pad=self.pad)


class Upsample(nn.Module):
    """Double height and width: zeros between, then the filter with four times its sum.

    Shape: (N, C, H, W) to (N, C, 2H, 2W).
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(taps, gain=4.0))
        rest = len(taps) - 2
        self.pad = ((rest + 1) // 2 + 1, rest // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Double (N, C, H, W)."""
        return upfirdn(x, self.kernel, up=2, pad=self.pad)


class Downsample(nn.Module):
    """Halve height and width: filter, then every second pixel.

    Shape: (N, C, H, W) to (N, C, H / 2, W / 2).
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(taps))
        rest = len(taps) - 2
        self.pad = ((rest + 1) // 2, rest // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve (N, C, H, W)."""
        return upfirdn(x, self.kernel, down=2, pad=self.pad)


def fir_kernel(taps: Sequence[float], gain: float = 1.0) -> Tensor:
    """Return the outer product (K, K) of ``taps`` with themselves, of sum ``gain``.

    Raises:
        SpecError: the taps' sum is zero, or there are none.
    """
    if not taps or not sum(taps):
        raise SpecError([f"blur_kernel is {list(taps)}: give numbers whose sum is not 0"])
    factor = torch.tensor(list(taps), dtype=torch.float32)
    kernel = torch.outer(factor, factor)
    return kernel * (gain / kernel.sum())


def register_noise(network: nn.Module, sides: Sequence[int]) -> None:
    """Give a network its fixed noise: buffers ``injected_noise_i`` (1, 1, side, side)."""
    for index, side in enumerate(sides):
        network.register_buffer(f"injected_noise_{index}", torch.randn(1, 1, side, side))


def layer_noise(sides: Sequence[int], randoms: Sequence[torch.Generator]) -> list[Tensor]:
    """Draw the noise of each layer, (N, 1, side, side), each image's from its own generator.

    Args:
        sides: pixels of a side, layer by layer.
        randoms: N generators.
    """
    images = [
        [torch.randn(1, side, side, generator=random, device=random.device) for side in sides]
        for random in randoms
    ]
    return [torch.stack(layer) for layer in zip(*images, strict=True)]


def mixing_layers(count: int, layers: int, prob: float, random: torch.Generator) -> Tensor:
    """Draw where each image changes from its first style to its second (1812.04948, section 3.1).

    Args:
        count: N.
        layers: L, at least 2 for anything to be mixed.
        prob: share of images that are mixed.
        random: where the draws come from.

    Returns:
        (N,) int64: the first layer of the second style, uniform in 1 to L - 1; L where not mixed.
    """
    chosen = torch.rand(count, generator=random, device=random.device) < prob
    crossover = torch.randint(1, max(layers, 2), (count,), generator=random, device=random.device)
    return torch.where(chosen, crossover, layers).clamp_max(layers)


def style_layers(styles: Sequence[Tensor], start: int | Tensor, layers: int) -> Tensor:
    """Lay one or two styles out over the layers.

    Args:
        styles: one (N, D), one (N, L, D) that is laid out already, or two (N, D).
        start: the first layer of the second; one number, or (N,) one for each image.
        layers: L.

    Returns:
        (N, L, D).

    Raises:
        DataError: there are more than two styles, or one that is laid out has not L layers.
    """
    first = styles[0]
    if len(styles) > 2:
        raise DataError(f"{len(styles)} styles: give one or two")
    if len(styles) == 1:
        laid = first if first.ndim == 3 else first.unsqueeze(1).expand(-1, layers, -1)
        if laid.shape[1] < layers:
            raise DataError(f"styles are {tuple(first.shape)}: give {layers} layers")
        return laid
    index = torch.arange(layers, device=first.device)
    begins = torch.as_tensor(start, device=first.device).view(-1, 1)
    return torch.where((index < begins).unsqueeze(2), first.unsqueeze(1), styles[1].unsqueeze(1))


def truncated(style: Tensor, mean: Tensor, truncation: float) -> Tensor:
    """Pull styles (N, ..., D) towards the mean: psi in 1812.04948, appendix B."""
    return style if truncation == 1 else torch.lerp(mean.expand_as(style), style, truncation)
