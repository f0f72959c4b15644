"""Images at the borders: uint8 [0, 255] outside, float32 [-1, 1] inside, any shape."""

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """Map uint8 [0, 255] to float32 [-1, 1]."""
    return images.to(torch.float32).div_(127.5).sub_(1)


ROUNDING = "(x + 1) * 127.5 to the nearest, halves to even, clamped to 0..255"
"""What ``to_uint8`` does, for a protocol."""


def to_uint8(images: Tensor) -> Tensor:
    """Map float [-1, 1] to uint8 [0, 255]: rounded to nearest, clamped."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
