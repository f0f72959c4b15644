import pytest
import torch
from torch.nn import functional

from harness.networks.modulated import ModulatedConv2d, StyledLayer, ToRGB
from harness.networks.stylegan2_discriminator import ResidualBlock


def _grouped(conv, x, style):
    """Section 2.2 to the letter: each image's own weights, in one grouped convolution."""
    N, C, H, W = x.shape
    factors = conv.style_modulation(style)
    weight = conv.weight_orig * conv.scale * factors.view(N, 1, C, 1, 1)
    if conv.demodulate:
        weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    size = weight.shape[3:]
    x = x.reshape(1, N * C, H, W)
    if conv.blur is None:
        y = functional.conv2d(x, weight.reshape(-1, C, *size), padding=conv.padding, groups=N)
    else:
        kernel = weight.transpose(1, 2).reshape(N * C, -1, *size)
        y = functional.conv_transpose2d(x, kernel, stride=2, groups=N)
    y = y.view(N, -1, *y.shape[2:])
    return y if conv.blur is None else conv.blur(y)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("size", "taps"), [(3, None), (1, None), (3, (1, 3, 3, 1))])
def test_scaled_features_are_the_papers_grouped_convolution(size, taps, demodulate):
    torch.manual_seed(0)
    conv = ModulatedConv2d(6, 5, size, 4, demodulate=demodulate, taps=taps).double()
    x, style = torch.randn(3, 6, 8, 8).double(), torch.randn(3, 4).double()
    torch.testing.assert_close(conv(x, style), _grouped(conv, x, style), rtol=1e-12, atol=1e-12)
    assert conv.float()(x.float(), style.float()).shape == (3, 5, *[16 if taps else 8] * 2)


def test_demodulated_features_have_unit_variance_for_any_style():
    torch.manual_seed(0)
    conv = ModulatedConv2d(256, 64, 3, 8)
    plain = ModulatedConv2d(256, 64, 3, 8, demodulate=False)
    plain.load_state_dict(conv.state_dict())
    x, style = torch.randn(8, 256, 18, 18), 30 * torch.randn(8, 8)
    inside = conv(x, style)[..., 1:-1, 1:-1]
    torch.testing.assert_close(inside.var((1, 2, 3)), torch.ones(8), rtol=0, atol=0.05)
    assert (plain(x, style)[..., 1:-1, 1:-1].var((1, 2, 3)) > 10).all()


@pytest.mark.parametrize("taps", [(1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1)])
def test_any_blur_keeps_sizes_and_a_constant_image(taps):
    up = ModulatedConv2d(2, 3, 3, 4, taps=taps)
    assert up(torch.randn(1, 2, 5, 5), torch.randn(1, 4)).shape == (1, 3, 10, 10)
    block = ResidualBlock(2, 3, taps)
    assert block(torch.randn(1, 2, 10, 10)).shape == (1, 3, 5, 5)
    to_rgb = ToRGB(2, 4, taps)
    below = torch.full((1, 3, 8, 8), 2.0)
    doubled = to_rgb.upsample(below)
    assert doubled.shape == (1, 3, 16, 16)
    torch.testing.assert_close(doubled[..., 4:12, 4:12], torch.full((1, 3, 8, 8), 2.0))
    image = to_rgb(torch.zeros(1, 2, 16, 16), torch.randn(1, 4), below)
    torch.testing.assert_close(image, doubled)


def test_noise_is_added_before_the_activation():
    torch.manual_seed(0)
    layer = StyledLayer(2, 3, 4)
    x, style, noise = torch.randn(2, 2, 4, 4), torch.randn(2, 4), torch.randn(2, 1, 4, 4)
    quiet = layer(x, style, noise)
    torch.testing.assert_close(quiet, functional.leaky_relu(layer.conv(x, style), 0.2) * 2**0.5)
    layer.noise_injector.weight.data.fill_(0.5)
    layer.activate.bias.data.fill_(-1.0)
    expected = functional.leaky_relu(layer.conv(x, style) + 0.5 * noise - 1, 0.2) * 2**0.5
    torch.testing.assert_close(layer(x, style, noise), expected)
