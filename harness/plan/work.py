"""What training a model takes: multiply-adds of an image and numbers of weights, by arithmetic.

PGGAN's are counted layer by layer (arXiv 1710.10196, table 2); those of StyleGAN (1812.04948,
1912.04958) and SinGAN (1905.01164) by their convolutions, which are nearly all of them.
"""

from collections.abc import Callable
from itertools import pairwise

from harness.spec.schema import PGGAN, Logistic, Model, SinGAN, Spec, StyleGAN1, StyleGAN2

Work = tuple[float, float]
"""Of the generator and of the discriminator."""

_GENERATOR_PASSES = 4.0
"""Generator passes' worth of work in a step: one to feed the critic; forward and backward."""
_CRITIC_PASSES = 15.0
"""Critic passes' worth of work: real and fake with gradients (6), penalty with its double
backward (7), and the generator's pass through a frozen critic (2)."""
_PENALTY_PASSES = 7.0
"""The share of the penalty in them, which a lazy one spreads over its interval."""
_RECONSTRUCTION_PASSES = 3.0
"""SinGAN's second image of each generator step, forward and backward."""


def training_macs(spec: Spec, scale: int) -> float:
    """Return the multiply-adds of training on one image at a scale, in px."""
    if isinstance(spec.model, SinGAN):
        return _singan_macs(spec, spec.model, scale)
    generator, critic = macs_per_image(spec.model, scale)
    loss = spec.train.loss
    passes, drawn = _CRITIC_PASSES, _GENERATOR_PASSES
    if isinstance(loss, Logistic):
        passes -= _PENALTY_PASSES * (1 - 1 / loss.r1_interval)
        if loss.path_weight:
            drawn += _PENALTY_PASSES / loss.path_interval / loss.path_batch_shrink
    return drawn * generator + passes * critic


def macs_per_image(model: Model, scale: int) -> Work:
    """Return the multiply-adds of one image through (generator, critic) at a scale."""
    match model:
        case PGGAN():
            return _pggan_macs(model, scale)
        case StyleGAN1():
            # Resampling costs a convolution at full size, and a 3x3 filter.
            return _style_macs(model, scale, lambda below, width: 9 * width * (below + width + 1))
        case StyleGAN2():
            # A convolution of stride two meets a quarter of the pixels; a 4x4 filter follows.
            return _style_macs(
                model, scale, lambda below, width: width * (2.25 * below + 9 * width + 16)
            )
        case SinGAN():
            per_pixel = _singan_weights(model.base_channels)
            return per_pixel * scale**2, per_pixel * scale**2


def parameters(spec: Spec) -> tuple[int, int]:
    """Return how many weights the generator and the critic have, but for the small layers."""
    model = spec.model
    if isinstance(model, SinGAN):
        scales = range(len(spec.pyramid.sizes))
        total = sum(_singan_weights(_singan_channels(model, number)) for number in scales)
        return total, total
    widths = _widths(model, model.out_scale)
    blocks = 9 * widths[0] ** 2
    blocks += sum(9 * new * (new + old) for old, new in pairwise(widths))
    critic = blocks + 16 * widths[0] ** 2
    if isinstance(model, PGGAN):
        return blocks + 16 * widths[0] * model.noise_size, critic
    styles = sum(2 * 2 * width for width in widths) * model.noise_size
    return blocks + styles + model.num_mlps * model.noise_size**2, critic


def activations(spec: Spec, scale: int) -> float:
    """Return how many values training keeps of one image at a scale, in px, for its gradients.

    By rule of thumb: two convolutions a level and network, each followed by what keeps three values
    more for each of its own; once through the generator, four times through the critic.
    """
    model = spec.model
    if isinstance(model, SinGAN):
        index = spec.growth.scales.index(scale)
        height, width = spec.pyramid.sizes[index]
        return 5 * 4 * 5 * height * width * float(_singan_channels(model, index))
    pixels = (4.0 ** (level + 2) * width for level, width in enumerate(_widths(model, scale)))
    return 2 * 4 * 5 * sum(pixels)


def _pggan_macs(model: PGGAN, scale: int) -> Work:
    widths = _widths(model, scale)
    first, rgb = widths[0], 3.0 * widths[-1] * scale**2
    # The minibatch stddev's channel meets a convolution in the paper's form, else a linear layer.
    head = 16.0 * (9 * (first + 1) + first if model.paper_form else first + 1) + 1
    generator = rgb + first * 16.0 * (model.noise_size + 9 * first)
    critic = rgb + first * head
    # Fused resampling computes 4 of a 4x4 kernel's 16 taps for each pixel of the larger image.
    up = 4 if model.fused else 9
    down = 4 if model.fused and not model.paper_form else 9
    for level, (below, width) in enumerate(pairwise(widths), 1):
        pixels = 4.0 ** (level + 2)
        generator += pixels * width * (up * below + 9 * width)
        critic += pixels * width * (9 * width + down * below)
    return generator, critic


def _style_macs(
    model: StyleGAN1 | StyleGAN2, scale: int, per_pixel: Callable[[int, int], float]
) -> Work:
    widths = _widths(model, scale)
    first, rgb = widths[0], 3.0 * widths[-1] * scale**2
    blocks = sum(
        4.0 ** (level + 2) * per_pixel(below, width)
        for level, (below, width) in enumerate(pairwise(widths), 1)
    )
    generator = rgb + blocks + model.num_mlps * model.noise_size**2 + 16 * 9 * first**2
    return generator, rgb + blocks + 16 * (9 * first * (first + 1) + first**2)


def _singan_macs(spec: Spec, model: SinGAN, scale: int) -> float:
    index = spec.growth.scales.index(scale)
    work = [
        height * width * float(_singan_weights(_singan_channels(model, number)))
        for number, (height, width) in enumerate(spec.pyramid.sizes[: index + 1])
    ]
    steps = model.generator_steps / model.discriminator_steps
    drawn = sum(work) * (1 + steps)
    generator = work[-1] * steps * (_GENERATOR_PASSES - 1 + _RECONSTRUCTION_PASSES)
    return drawn + generator + _CRITIC_PASSES * work[-1]


def _singan_channels(model: SinGAN, index: int) -> int:
    return int(min(model.base_channels * 2 ** (index // 4), 128))


def _singan_weights(channels: int) -> int:
    """Return the weights of a scale's five 3x3 convolutions, which are its work per pixel."""
    return 9 * channels * (3 + 3 * channels + 3)


def _widths(model: PGGAN | StyleGAN1 | StyleGAN2, scale: int) -> list[int]:
    levels = range(scale.bit_length() - 2)
    return [min(model.base_channels // 2 ** (level + 1), model.max_channels) for level in levels]
