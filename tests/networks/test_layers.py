import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import SpecError
from harness.networks.layers import (
    ConvBlock,
    Decision,
    EqualizedConv2d,
    EqualizedLinear,
    NoiseTo4x4,
    PixelNorm,
)
from harness.networks.minibatch_stddev import MinibatchStddev, minibatch_stddev


def test_pixel_norm_divides_by_the_root_mean_square():
    x = torch.randn(2, 5, 3, 3, dtype=torch.float64)
    expected = x / torch.sqrt((x**2).sum(1, keepdim=True) / 5 + 1e-8)
    torch.testing.assert_close(PixelNorm()(x), expected)


def test_pixel_norm_has_its_constant_under_or_beside_the_root():
    x = torch.full((1, 2), 3.0)
    assert PixelNorm(under_root=16.0)(x)[0, 0].item() == pytest.approx(3 / 5)
    assert PixelNorm(under_root=0.0, beside_root=2.0)(x)[0, 0].item() == pytest.approx(3 / 5)


@pytest.mark.parametrize("norm", [PixelNorm(), PixelNorm(under_root=1e-30, beside_root=1e-5)])
def test_pixel_norm_of_zero_features_has_a_finite_gradient(norm):
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    norm(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def _stddev_by_loop(x, group_size):
    """The mean standard deviation of each image's group, one number at a time, in numpy."""
    images, groups = len(x), math.ceil(len(x) / group_size)
    answers = []
    for image in range(images):
        group = np.stack([x[i] for i in range(images) if i % groups == image % groups])
        deviations = [
            math.sqrt(group[:, c, h, w].var() + 1e-8) for c, h, w in np.ndindex(*x.shape[1:])
        ]
        answers.append(sum(deviations) / len(deviations))
    return np.array(answers)


@pytest.mark.parametrize(
    ("images", "group_size"),
    [(8, 4), (12, 4), (3, 4), (5, 4), (6, 4), (7, 4), (9, 4), (1, 4), (6, 1), (6, None)],
)
def test_minibatch_stddev_is_that_of_a_loop(images, group_size):
    x = torch.randn(images, 3, 2, 2, dtype=torch.float64)
    y = minibatch_stddev(x, group_size)
    expected = _stddev_by_loop(x.numpy(), group_size or images)
    assert y.shape == (images, 4, 2, 2)
    assert torch.equal(y[:, :3], x)
    np.testing.assert_allclose(
        y[:, 3].numpy(), np.broadcast_to(expected[:, None, None], (images, 2, 2)), rtol=1e-12
    )


def test_minibatch_stddev_refuses_empty_groups():
    with pytest.raises(SpecError, match="group_size is 0: give 1 or more"):
        MinibatchStddev(0)


@pytest.mark.parametrize(
    ("kind", "sizes", "shape"),
    [
        (EqualizedLinear, (64, 64), (256, 64)),
        (EqualizedConv2d, (32, 32, 1), (64, 32, 6, 6)),
        (EqualizedConv2d, (16, 48, 3), (32, 16, 10, 10)),
    ],
)
def test_outputs_have_hes_variance_of_two(kind, sizes, shape):
    layer = kind(*sizes)
    y = layer(torch.randn(shape))
    inner = y[..., 1:-1, 1:-1] if y.ndim == 4 else y
    assert inner.var().item() == pytest.approx(2, rel=0.15)
    assert layer.weight_orig.var().item() == pytest.approx(1, rel=0.15)
    assert not layer.bias.any()


def test_an_upsampling_layer_has_hes_variance_by_its_inputs_not_its_outputs():
    x = torch.randn(32, 64, 8, 8)
    by_inputs = EqualizedConv2d(64, 16, 3, resample="up")
    by_outputs = EqualizedConv2d(64, 16, 3, resample="up", fan_in=16 * 9)
    assert by_inputs(x)[..., 2:-2, 2:-2].var().item() == pytest.approx(2, rel=0.15)
    assert by_outputs(x)[..., 2:-2, 2:-2].var().item() == pytest.approx(8, rel=0.15)


def test_fused_downsampling_is_convolution_then_average_pooling():
    fused = EqualizedConv2d(3, 5, 3, resample="down").double()
    plain = EqualizedConv2d(3, 5, 3).double()
    torch.nn.init.normal_(fused.bias)
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(fused(x), functional.avg_pool2d(plain(x), 2))


def test_fused_upsampling_is_nearest_upsampling_then_the_mirrored_convolution():
    fused = EqualizedConv2d(3, 5, 3, resample="up").double()
    plain = EqualizedConv2d(3, 5, 3).double()
    torch.nn.init.normal_(fused.bias)
    mirrored = fused.weight_orig.detach().transpose(0, 1).flip(2, 3)
    plain.load_state_dict({"weight_orig": mirrored, "bias": fused.bias})
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    upsampled = functional.interpolate(x, scale_factor=2, mode="nearest")
    torch.testing.assert_close(fused(x), plain(upsampled))


def test_pooling_after_the_rectifier_is_another_function_than_the_fused_one():
    fused = ConvBlock(EqualizedConv2d(3, 4, 3, resample="down"))
    pooled = ConvBlock(EqualizedConv2d(3, 4, 3), pool=True)
    pooled.load_state_dict(fused.state_dict())
    x = torch.randn(2, 3, 4, 4)
    inner = functional.leaky_relu(pooled.conv(x), 0.2)
    torch.testing.assert_close(pooled(x), functional.avg_pool2d(inner, 2))
    assert not torch.allclose(pooled(x), fused(x), atol=1e-3)


LAYERS = {
    "linear": (lambda: EqualizedLinear(4, 3), (2, 4)),
    "conv": (lambda: EqualizedConv2d(1, 2, 3), (2, 1, 2, 3)),
    "up": (lambda: EqualizedConv2d(1, 2, 3, resample="up"), (1, 1, 2, 1)),
    "down": (lambda: EqualizedConv2d(1, 2, 3, resample="down"), (1, 1, 4, 2)),
    "pooled": (lambda: ConvBlock(EqualizedConv2d(1, 2, 3), pool=True), (1, 1, 2, 4)),
    "upsampled": (lambda: ConvBlock(EqualizedConv2d(1, 2, 3), upsample=True), (1, 1, 1, 2)),
    "pixel norm": (PixelNorm, (2, 3, 2, 2)),
    "stddev": (lambda: MinibatchStddev(4), (4, 2, 2, 2)),
    "uneven stddev": (lambda: MinibatchStddev(2), (5, 2, 1, 1)),
    "noise": (lambda: NoiseTo4x4(3, 2, PixelNorm(), PixelNorm()), (2, 3)),
    "decision": (lambda: Decision(1, 3), (2, 1, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_first_and_second_derivatives_are_right(name):
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    layer = make().double()
    names = [name for name, _ in layer.named_parameters()]
    inputs = [torch.randn(shape, dtype=torch.float64)]
    inputs += [torch.randn_like(parameter) for parameter in layer.parameters()]

    def call(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    inputs = [each.requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_p8_a_layer_can_be_copied_and_pickled_after_a_forward(name):
    make, shape = LAYERS[name]
    layer, x = make(), torch.randn(shape)
    y = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), y)
    assert all(parameter.is_leaf for parameter in layer.parameters())
    assert not any(key.endswith("spread") for key in layer.state_dict())
