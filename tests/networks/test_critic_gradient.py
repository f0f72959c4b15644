"""The written-out gradient of the critic is autograd's, and so are its derivatives."""

from functools import partial

import pytest
import torch

from harness.networks.critic_gradient import image_gradient
from harness.networks.losses import gradient_penalty
from harness.networks.pggan import PGGANDiscriminator

FORMS = [{}, {"paper_form": True}, {"fused_convdown": False}, {"channels_last": True}]


@pytest.fixture(params=FORMS, ids=str)
def critic(request):
    torch.manual_seed(0)
    return PGGANDiscriminator(16, base_channels=32, max_channels=8, **request.param).double()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("scale", [4, 8, 16])
def test_it_is_autograds_gradient(critic, scale, weight):
    images = torch.randn(6, 3, scale, scale, dtype=torch.float64, requires_grad=True)
    (known,) = torch.autograd.grad(critic(images, weight, scale).sum(), images)
    written = image_gradient(critic, images.detach(), weight, scale)
    torch.testing.assert_close(written, known)


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("scale", [4, 8, 16])
def test_the_penaltys_gradients_are_autograds(critic, scale, weight):
    real, fake = torch.randn(2, 6, 3, scale, scale, dtype=torch.float64)
    mix = torch.rand(6, dtype=torch.float64)
    named = dict(critic.named_parameters())

    def gradients(written):
        loss = gradient_penalty(
            lambda images: critic(images, weight, scale), real, fake, mix, gradient_of=written
        )
        return torch.autograd.grad(loss, list(named.values()), allow_unused=True)

    written = partial(image_gradient, critic, transition_weight=weight, curr_scale=scale)
    for name, ours, known in zip(named, gradients(written), gradients(None), strict=True):
        assert (ours is None) == (known is None), name
        if known is not None:
            torch.testing.assert_close(ours, known, msg=name)


def test_its_derivatives_are_those_of_finite_differences():
    torch.manual_seed(0)
    critic = PGGANDiscriminator(8, base_channels=8, max_channels=2).double()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    weight = critic.conv_blocks[1].conv.weight_orig

    def by_weight(value):
        with torch.no_grad():
            weight.copy_(value)
        return image_gradient(critic, images).square().sum()

    start = weight.detach().clone()
    (known,) = torch.autograd.grad(by_weight(start), weight)
    direction = torch.randn_like(start)
    step = 1e-6 * direction
    slope = (by_weight(start + step) - by_weight(start - step)).detach() / 2e-6
    torch.testing.assert_close(slope, (known * direction).sum(), rtol=1e-5, atol=1e-8)
