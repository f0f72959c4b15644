"""What SinGAN's networks are made of: a small fully convolutional block for each scale.

arXiv 1905.01164, figure 5 and section 2. Shape letters: N images, C channels, H W pixels.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from harness.errors import SpecError
from harness.networks.image_norm import ImageNorm

_SLOPE = 0.2
_WIDEST = 128


class _Layer(nn.Module):
    """Convolution, batch norm and LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int) -> None:
        super().__init__()
        # The norm takes the mean off again, and with it any bias.
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
        self.bn = ImageNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.bn(self.conv(x)), _SLOPE)


class _Tail(nn.Module):
    """The last convolution of a block."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Block(nn.Module):
    """The convolutions of one scale: N in_channels HW to N out_channels hw (figure 5)."""

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], kernel: tuple[int, int]
    ) -> None:
        super().__init__()
        pairs = enumerate(pairwise(widths), 1)
        self.head = _Layer(in_channels, widths[0], *kernel)
        self.body = nn.Sequential()
        for number, (inputs, outputs) in pairs:
            self.body.add_module(f"block{number}", _Layer(inputs, outputs, *kernel))
        self.tail = _Tail(widths[-1], out_channels, *kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(self.head(x)))


class MultiScale(nn.Module):
    """Blocks of all scales, initialised as the authors do: weights of spread 0.02."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        num_layers: int,
        num_scales: int,
        channels: tuple[int, int],
    ) -> None:
        super().__init__()
        _check(kernel, num_layers, num_scales, channels)
        self.in_channels = in_channels
        self.kernel_size, self.padding = kernel
        self.num_layers = num_layers
        self.num_scales = num_scales
        self.blocks = nn.ModuleList(
            _Block(in_channels, out_channels, _widths(scale, num_layers, *channels), kernel)
            for scale in range(num_scales + 1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def check_scale(self, curr_scale: int) -> None:
        """Raise SpecError unless there is such a scale."""
        if not 0 <= curr_scale <= self.num_scales:
            raise SpecError([f"curr_scale is {curr_scale}: give 0 to {self.num_scales}"])


def _check(
    kernel: tuple[int, int], num_layers: int, num_scales: int, channels: tuple[int, int]
) -> None:
    problems = []
    if kernel[0] < 1 or kernel[0] % 2 == 0:
        problems.append(f"kernel_size is {kernel[0]}: give an odd number")
    if kernel[1] not in (0, kernel[0] // 2):
        problems.append(f"padding is {kernel[1]}: give 0 or {kernel[0] // 2}")
    if num_layers < 2:
        problems.append(f"num_layers is {num_layers}: give 2 or more")
    if num_scales < 0:
        problems.append(f"num_scales is {num_scales}: give the finest scale's number, 0 or more")
    if min(channels) < 1:
        problems.append(f"base_channels and min_feat_channels are {channels}: give 1 or more")
    if problems:
        raise SpecError(problems)


def _widths(scale: int, num_layers: int, base: int, least: int) -> list[int]:
    """Return the features after each layer but the last, doubled every four scales (section 2)."""
    base, least = (min(width * 2 ** (scale // 4), _WIDEST) for width in (base, least))
    return [base] + [max(base >> layer, least) for layer in range(1, num_layers - 1)]
