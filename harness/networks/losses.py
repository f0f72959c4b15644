"""Losses of WGAN-GP and of logistic training, as pure functions of scores and images.

Scores are what a critic returns: unbounded, higher for what it takes for real; any shape with N
first. Shape letters: N images, C channels, H W pixels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus


def wgan_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean score of fake minus that of real images (arXiv 1704.00028, equation 3, first two terms).

    Args:
        real: scores of real images.
        fake: scores of generated images; their number may differ.

    Returns:
        A scalar; its negative estimates the Wasserstein distance.
    """
    return fake.mean() - real.mean()


def wgan_generator_loss(fake: Tensor) -> Tensor:
    """Negative mean score of generated images, a scalar (arXiv 1704.00028, algorithm 1)."""
    return -fake.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mix: Tensor,
    *,
    weight: float = 10.0,
    target: float = 1.0,
    per_pixel: bool = False,
    gradient_of: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Penalise gradient norms other than ``target`` between real and generated images.

    weight * mean(((norm - target) / target)**2), where the norm is that of the gradient of an
    image's score at mix * real + (1 - mix) * fake (arXiv 1704.00028, equation 3; a target other
    than 1 as in 1710.10196, appendix B). The gradient is that of all scores' sum: it equals the
    image's own only as far as the critic does not look across the batch. ``fake`` is detached.

    Args:
        critic: maps (N, C, H, W) to scores.
        real: (N, C, H, W).
        fake: (N, C, H, W).
        mix: (N,), one share of the real image each, drawn from U[0, 1).
        weight: of the penalty.
        target: the norm that costs nothing.
        per_pixel: take the norm over each pixel's channels, and the mean over all pixels: for
            critics that score every patch, so that the penalty is the same at every image size
            (as SinGAN's authors train theirs).
        gradient_of: maps (N, C, H, W) to the gradient of the scores' sum, in ``critic``'s place.

    Returns:
        A scalar to be differentiated by the critic's parameters.
    """
    share = mix.view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fake.detach(), real.detach(), share)
    gradient = _gradient(critic, between) if gradient_of is None else gradient_of(between)
    # Unlike sqrt(sum of squares), this norm has a gradient (zero) where it is zero itself.
    norm = torch.linalg.vector_norm(gradient if per_pixel else gradient.flatten(1), dim=1)
    return weight * ((norm - target) / target).square().mean()


def _gradient(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient


def drift_penalty(real: Tensor, fake: Tensor | None = None, *, weight: float = 0.001) -> Tensor:
    """Keep scores near zero, where the Wasserstein loss alone would let them wander.

    Args:
        real: scores of real images.
        fake: where given, the mean over real and fake scores, as MMagic has it:
            weight / 2 * (mean(real**2) + mean(fake**2)).
        weight: of the mean squared score.

    Returns:
        A scalar; without ``fake``, weight * mean(real**2) (1710.10196, appendix A.1).
    """
    mean_square = real.square().mean()
    if fake is not None:
        mean_square = (mean_square + fake.square().mean()) / 2
    return weight * mean_square


def logistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of softplus(fake) plus mean of softplus(-real) (arXiv 1406.2661, equation 1, negated).

    Args:
        real: scores of real images: log-odds that they are real.
        fake: scores of generated images; their number may differ.

    Returns:
        A scalar, 2 log 2 where all scores are 0.
    """
    return softplus(fake).mean() + softplus(-real).mean()


def logistic_generator_loss(fake: Tensor) -> Tensor:
    """Mean of softplus(-fake), a scalar: non-saturating (arXiv 1406.2661, section 3)."""
    return softplus(-fake).mean()


def r1_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, *, gamma: float = 10.0
) -> Tensor:
    """Penalise gradients at real images (arXiv 1801.04406, equation 9).

    gamma / 2 * mean(norm**2), the norm that of the gradient of an image's score. As in
    ``gradient_penalty``, the gradient is that of all scores' sum.

    Args:
        discriminator: maps (N, C, H, W) to scores.
        real: (N, C, H, W).

    Returns:
        A scalar to be differentiated by the discriminator's parameters.
    """
    images = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gamma / 2 * gradient.square().flatten(1).sum(dim=1).mean()


def path_lengths(images: Tensor, styles: Tensor, direction: Tensor) -> Tensor:
    """Return how far images move with their styles (arXiv 1912.04958, section 3.2).

    The norm of J^T y, where J is an image's Jacobian by its style and y the direction over
    sqrt(H * W): for one style w of all L layers, J^T y is the sum over the layers; here it is the
    root of the mean over layers of squared norms, the published training's measure.

    Args:
        images: (N, C, H, W), a differentiable function of ``styles``.
        styles: (N, L, D).
        direction: (N, C, H, W), normally distributed.

    Returns:
        (N,), to be differentiated by the generator's parameters.
    """
    H, W = images.shape[2:]
    moved = (images * direction).sum() / math.sqrt(H * W)
    (gradient,) = torch.autograd.grad(moved, styles, create_graph=True)
    return (gradient.square().sum(dim=2).mean(dim=1) + 1e-12).sqrt()
