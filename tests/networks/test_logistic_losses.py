import math

import numpy as np
import pytest
import torch

from harness.networks.losses import (
    logistic_discriminator_loss,
    logistic_generator_loss,
    r1_penalty,
)


def _log1p_exp(values):
    return [math.log1p(math.exp(value)) for value in np.ravel(values)]


def test_logistic_losses_are_the_written_sums():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((6, 1)), rng.standard_normal((4, 1)) + 1
    discriminator = logistic_discriminator_loss(*map(torch.from_numpy, (real, fake)))
    generator = logistic_generator_loss(torch.from_numpy(fake))
    expected = np.mean(_log1p_exp(fake)) + np.mean(_log1p_exp(-real))
    assert discriminator.item() == pytest.approx(expected, rel=1e-13)
    assert generator.item() == pytest.approx(np.mean(_log1p_exp(-fake)), rel=1e-13)


def test_the_generators_gradient_does_not_vanish_where_it_is_found_out():
    scores = torch.tensor([-30.0], requires_grad=True)
    logistic_generator_loss(scores).backward()
    assert scores.grad.item() == pytest.approx(-1)


@pytest.mark.parametrize("gamma", [1.0, 10.0])
def test_r1_is_half_gamma_of_the_mean_squared_slope_at_real_images(gamma):
    torch.manual_seed(0)
    real = torch.randn(5, 3, 4, 4, dtype=torch.float64)
    weight = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty(lambda x: (x.square() * weight).sum((1, 2, 3)) / 2, real, gamma=gamma)
    slopes = real * weight.detach()
    torch.testing.assert_close(penalty, gamma / 2 * slopes.square().sum((1, 2, 3)).mean())
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, gamma * weight.detach() * real.square().mean(0))
    assert real.grad is None
