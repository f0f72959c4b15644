"""Pixel norm in closed form is the layer that autograd differentiates."""

import pytest
import torch

from harness.networks.layers import TINY, PixelNorm
from harness.networks.norm_gradient import pixel_norm

FORMS = [{"under_root": 1e-8}, {"under_root": TINY, "beside_root": 1e-5}, {"under_root": 0.3}]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_value_and_gradient_are_autograds(form, layout):
    x = torch.randn(3, 5, 4, 4, dtype=torch.float64).contiguous(memory_format=layout)
    x.requires_grad_()
    by = torch.randn(3, 5, 4, 4, dtype=torch.float64)
    found = []
    for written in (False, True):
        out = PixelNorm(**form, written=written)(x)
        found.append((out, *torch.autograd.grad(out, x, by)))
    for ours, known in zip(*found, strict=True):
        torch.testing.assert_close(ours, known)


def test_the_gradient_is_that_of_finite_differences():
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pixel_norm(x, 1e-3, 0.2), (x,))


def test_features_that_are_all_zero_have_a_finite_gradient():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    pixel_norm(x, TINY, 1e-5).sum().backward()
    assert x.grad.isfinite().all()


def test_it_says_that_it_can_be_differentiated_once():
    x = torch.randn(1, 4, requires_grad=True)
    out = pixel_norm(x, 1e-8, 0.0).square().sum()
    (gradient,) = torch.autograd.grad(out, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
