import numpy as np
import pytest
import torch

from harness.networks.losses import (
    drift_penalty,
    gradient_penalty,
    wgan_critic_loss,
    wgan_generator_loss,
)
from harness.networks.pggan import PGGANDiscriminator


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return rng.standard_normal((6, 1)), rng.standard_normal((4, 1)) + 1


def test_wasserstein_losses_are_the_written_sums(scores):
    real, fake = scores
    critic = wgan_critic_loss(*map(torch.from_numpy, scores))
    generator = wgan_generator_loss(torch.from_numpy(fake))
    assert critic.item() == pytest.approx(sum(fake.flat) / 4 - sum(real.flat) / 6, rel=1e-14)
    assert generator.item() == pytest.approx(-sum(fake.flat) / 4, rel=1e-14)


def test_drift_is_the_papers_or_the_peers(scores):
    real, fake = scores
    by_paper = drift_penalty(torch.from_numpy(real))
    by_peer = drift_penalty(*map(torch.from_numpy, scores))
    heavier = drift_penalty(torch.from_numpy(real), weight=0.5)
    assert by_paper.item() == pytest.approx(0.001 * (real**2).sum() / 6, rel=1e-14)
    assert by_peer.item() == pytest.approx(
        0.0005 * (real**2).sum() / 6 + 0.0005 * (fake**2).sum() / 4, rel=1e-14
    )
    assert heavier.item() == pytest.approx(500 * by_paper.item(), rel=1e-14)


def _images(count, seed=0):
    torch.manual_seed(seed)
    real, fake = torch.randn(2, count, 3, 4, 4, dtype=torch.float64)
    return real, fake, torch.rand(count, dtype=torch.float64)


@pytest.mark.parametrize("target", [1.0, 750.0])
def test_penalty_of_a_linear_critic_is_that_of_its_norm(target):
    slope = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), *_images(5), target=target)
    (gradient,) = torch.autograd.grad(penalty, slope)
    norm = slope.square().sum().sqrt()
    expected = 10 * (norm / target - 1) ** 2
    torch.testing.assert_close(penalty, expected)
    torch.testing.assert_close(gradient, 20 * (norm / target - 1) * slope / (norm * target))


def test_penalty_is_taken_at_each_images_own_mixture():
    real, fake, mix = _images(5)
    # The gradient of half the squared length of an image is the image itself.
    penalty = gradient_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, real, fake, mix, weight=3)
    between = [m * r + (1 - m) * f for r, f, m in zip(real, fake, mix, strict=True)]
    expected = sum(3 * (float(image.norm()) - 1) ** 2 for image in between) / 5
    assert penalty.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("paper_form", [False, True])
def test_penalty_of_the_critic_and_its_gradient_equal_finite_differences(paper_form):
    torch.manual_seed(1)
    critic = PGGANDiscriminator(8, 0, 16, 4, in_channels=1, paper_form=paper_form).double()
    real, fake = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64)
    mix = torch.rand(3, dtype=torch.float64)
    between = mix.view(-1, 1, 1, 1) * real + (1 - mix.view(-1, 1, 1, 1)) * fake

    def penalty():
        return gradient_penalty(critic, real, fake, mix)

    with torch.no_grad():
        slopes = [
            _slope(lambda: critic(between).sum().item(), between, i) for i in range(between.numel())
        ]
    norms = np.linalg.norm(np.array(slopes).reshape(3, -1), axis=1)
    assert penalty().item() == pytest.approx(10 * np.mean((norms - 1) ** 2), rel=1e-6)

    weights = [critic.conv_blocks[2].conv.weight_orig, critic.decision.linear0.weight_orig]
    for weight, gradient in zip(weights, torch.autograd.grad(penalty(), weights), strict=True):
        for index in (0, 7, 40):
            numeric = _slope(lambda: penalty().item(), weight.data, index)
            assert gradient.flatten()[index].item() == pytest.approx(numeric, rel=1e-4, abs=1e-8)


def _slope(function, tensor, index, step=1e-5):
    """Central difference of ``function()`` by one entry of ``tensor``, changed in place."""
    flat, values = tensor.view(-1), []
    for sign in (1, -1):
        kept = flat[index].item()
        flat[index] = kept + sign * step
        values.append(function())
        flat[index] = kept
    return (values[0] - values[1]) / (2 * step)


def test_penalty_is_finite_where_the_critic_is_flat():
    slope = torch.zeros(3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), *_images(3))
    penalty.backward()
    assert penalty.item() == 10
    assert torch.equal(slope.grad, torch.zeros_like(slope))


def test_penalty_does_not_reach_the_images():
    real, fake, mix = _images(3)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    images = (real.requires_grad_(), fake.requires_grad_())
    gradient_penalty(lambda x: scale * x.square().sum((1, 2, 3)), *images, mix).backward()
    assert scale.grad != 0
    assert real.grad is None
    assert fake.grad is None


def test_penalty_per_pixel_is_the_mean_over_pixels_of_their_channels_norms():
    real, fake, mix = _images(3)
    # The gradient of half the squared length of an image is the image itself.
    penalty = gradient_penalty(
        lambda x: x.square().sum((1, 2, 3)) / 2, real, fake, mix, weight=0.1, per_pixel=True
    )
    between = torch.stack([m * r + (1 - m) * f for r, f, m in zip(real, fake, mix, strict=True)])
    norms = between.square().sum(1).sqrt()
    assert norms.shape == (3, 4, 4)
    assert penalty.item() == pytest.approx(0.1 * float((norms - 1).square().mean()), rel=1e-12)
