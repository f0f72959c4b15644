"""The gradient of PGGAN's critic by its images, written out as operations of a network of its own.

Autograd's derivative of a convolution's gradient by its weight is a convolution whose kernel is as
large as the image. Written out, the gradient is a chain of transposed convolutions, and its
derivative is that of any network.

Shape letters: N images, C channels, H W pixels.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.networks.layers import SLOPE, ConvBlock
from harness.networks.levels import level_of
from harness.networks.pggan import PGGANDiscriminator
from harness.ranks.shares import Share


def image_gradient(
    critic: PGGANDiscriminator,
    images: Tensor,
    transition_weight: float = 1.0,
    curr_scale: int = -1,
    share: Share | None = None,
) -> Tensor:
    """Return the gradient of all scores' sum by the images, to be differentiated by the weights.

    Args:
        critic: whose weights take gradients.
        images: as its ``forward`` takes them; nothing is differentiated by them once more.
        transition_weight: as its ``forward`` takes it.
        curr_scale: as its ``forward`` takes it.
        share: as its ``forward`` takes it.

    Returns:
        (N, C, H, W), as the images.
    """
    level = level_of(curr_scale, critic.in_scale)
    fades = level > 0 and transition_weight < 1
    if critic.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    down = [2 * step - later for step in range(level, 0, -1) for later in (1, 0)]
    blocks: list[Any] = [
        critic.fromrgb_layers[level],
        *(critic.conv_blocks[index] for index in down),
    ]
    old_block: Any = critic.fromrgb_layers[level - 1] if fades else None
    before = []
    features = images
    for index, block in enumerate(blocks):
        features, linear = _through(block, features)
        before.append(linear)
        if index == 2 and old_block is not None:
            old, old_linear = _through(old_block, functional.avg_pool2d(images, 2))
            features = torch.lerp(old, features, transition_weight)
    scores = critic.head(features, share)
    (gradient,) = torch.autograd.grad(scores.sum(), features, create_graph=True)
    beside = None
    for index in range(len(blocks) - 1, -1, -1):
        if index == 2 and old_block is not None:
            coarse = _back(old_block, old_linear, gradient * (1 - transition_weight))
            beside = functional.interpolate(coarse / 4, scale_factor=2)
            gradient = gradient * transition_weight
        gradient = _back(blocks[index], before[index], gradient)
    return gradient if beside is None else gradient + beside


def _through(block: ConvBlock, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a block makes of its input, and what its rectifier is given."""
    linear = block.conv(x)
    return block.after(linear), linear


def _back(block: ConvBlock, linear: Tensor, gradient: Tensor) -> Tensor:
    """Take the gradient by a block's output to that by its input."""
    if block.pool:
        gradient = functional.interpolate(gradient / 4, scale_factor=2)
    gradient = torch.ops.aten.leaky_relu_backward(gradient, linear, SLOPE, False)
    return block.conv.transposed(gradient)
