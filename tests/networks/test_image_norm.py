import copy

import pytest
import torch
from torch import nn

from harness.networks.image_norm import ImageNorm


def _pair(channels=3):
    torch.manual_seed(0)
    ours, theirs = ImageNorm(channels).double(), nn.BatchNorm2d(channels).double()
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _images(count):
    torch.manual_seed(1)
    return 3 + 2 * torch.randn(count, 3, 4, 5, dtype=torch.float64, requires_grad=True)


def test_for_one_image_it_is_batch_norm_with_its_statistics():
    ours, theirs = _pair()
    for _ in range(3):
        x = _images(1)
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_images_of_a_batch_do_not_depend_on_each_other():
    ours, _ = _pair()
    alone, x = copy.deepcopy(ours), _images(3)
    torch.testing.assert_close(ours(x)[1:2], alone(x[1:2]))
    means = x.mean((2, 3))
    torch.testing.assert_close(ours.running_mean, 0.1 * means.mean(0).detach())
    assert int(ours.num_batches_tracked) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_first_and_second_derivatives_are_right(count):
    ours, _ = _pair()

    def call(x, weight, bias):
        return torch.func.functional_call(ours, {"weight": weight, "bias": bias}, (x,))

    def slope(x, weight):
        """The images' derivative alone, as a gradient penalty has it."""
        y = call(x, weight, ours.bias)
        return torch.autograd.grad((y.square() * scale).sum(), x, create_graph=True)[0]

    scale = torch.randn(count, 3, 4, 5, dtype=torch.float64)
    x, weight = _images(count), ours.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(call, (x, weight, ours.bias))
    assert torch.autograd.gradcheck(slope, (x, weight))
