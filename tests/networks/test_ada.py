"""ADA's transforms, each alone against an exact answer, and what is drawn for them."""

import colorsys
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import DataError
from harness.networks import ada

ZERO = torch.zeros(3, dtype=torch.long)
STILL = torch.zeros(3, 2, dtype=torch.long)


def _random(seed=0):
    return torch.Generator().manual_seed(seed)


def _images(size=8, count=3):
    return torch.randn(count, 3, size, size, generator=_random())


def test_at_p_0_images_are_given_back_themselves():
    images = _images()
    random = _random()
    before = random.get_state()
    assert ada.Augment(8)(images, 0.0, random) is images
    assert torch.equal(random.get_state(), before)


def test_each_blit_copies_pixels_as_torch_does():
    images = _images()
    flipped = ada.blit(images, ZERO == 0, ZERO, STILL)
    assert torch.equal(flipped, images.flip(3))
    for turns in range(4):
        turned = ada.blit(images, ZERO == 1, ZERO + turns, STILL)
        assert torch.equal(turned, torch.rot90(images, turns, (2, 3)))
    both = ada.blit(images, ZERO == 0, ZERO + 1, STILL)
    assert torch.equal(both, torch.rot90(images.flip(3), 1, (2, 3)))
    mixed = ada.blit(images, torch.tensor([True, False, False]), torch.tensor([0, 0, 3]), STILL)
    expected = [images[0].flip(2), images[1], torch.rot90(images[2], 3, (1, 2))]
    assert torch.equal(mixed, torch.stack(expected))


@pytest.mark.parametrize(("down", "right"), [(2, -1), (-3, 0), (0, 7), (1, 1)])
def test_a_shift_is_a_roll_whose_gap_holds_the_reflection(down, right):
    images = _images()
    shifted = ada.blit(images, ZERO == 1, ZERO, torch.tensor([[down, right]] * 3))
    rolled = images.roll((down, right), (2, 3))
    inside = [slice(max(s, 0), 8 + min(s, 0)) for s in (down, right)]
    assert torch.equal(shifted[..., inside[0], inside[1]], rolled[..., inside[0], inside[1]])
    padded = functional.pad(images, (7,) * 4, mode="reflect")
    assert torch.equal(shifted, padded[..., 7 - down : 15 - down, 7 - right : 15 - right])


def test_the_wavelet_is_orthogonal_and_the_identity_changes_nothing():
    taps = np.array(ada._SYM6)
    for lag in range(6):
        product = taps[: 12 - 2 * lag] @ taps[2 * lag :]
        assert product == pytest.approx(float(lag == 0), abs=1e-11)
    # sym6 has six vanishing moments: alternating sums of powers of the position are zero.
    signs = (-1.0) ** np.arange(12)
    for power in range(6):
        assert (signs * taps) @ (np.arange(12.0) / 11) ** power == pytest.approx(0, abs=1e-10)
    images = _images(16)
    same = ada.Augment(16).warp(images, torch.eye(2).expand(3, 2, 2), torch.zeros(3, 2))
    torch.testing.assert_close(same, images, rtol=0, atol=3e-6)


def _smooth(row, column):
    return torch.exp(-((row - 3) ** 2 + (column + 5) ** 2) / 30) + (0.3 * row + 0.2 * column).sin()


@pytest.mark.parametrize(
    ("linear", "shift"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], (1.5, -2.25)),
        ([[1.2, 0.0], [0.0, 0.8]], (0.0, 0.0)),
        ([[0.0, -1.0], [1.0, 0.0]], (0.0, 0.0)),
        ([[0.9, -0.4], [0.5, 1.1]], (0.5, 3.0)),
    ],
)
def test_a_warp_moves_a_smooth_image_as_the_formula_says(linear, shift):
    size = 32
    line = torch.arange(size) - (size - 1) / 2
    row, column = torch.meshgrid(line, line, indexing="ij")
    matrix, moved = torch.tensor([linear]), torch.tensor([shift])
    images = _smooth(row, column).expand(1, 3, size, size)
    warped = ada.Augment(size).warp(images, matrix, moved)
    inverse = torch.linalg.inv(matrix[0])
    source = torch.stack([row - shift[0], column - shift[1]], dim=-1) @ inverse.T
    expected = _smooth(source[..., 0], source[..., 1])
    error = (warped[0, 0] - expected)[10:22, 10:22].abs().max()
    assert error < 6e-3  # a twentieth of a pixel's shift would be 2e-2


def test_a_rotation_turns_as_rot90_and_the_border_is_reflected():
    size = 16
    augment = ada.Augment(size)
    smooth = functional.interpolate(_images(4, 1), size=(size, size), mode="bicubic")
    turned = augment.warp(smooth, ada.rotation(torch.tensor([math.pi / 2])), torch.zeros(1, 2))
    torch.testing.assert_close(turned, torch.rot90(smooth, 1, (2, 3)), rtol=0, atol=0.06)
    shifted = augment.warp(smooth, torch.eye(2)[None], torch.tensor([[0.0, 6.0]]))
    reflected = functional.pad(smooth, (6, 0, 0, 0), mode="reflect")[..., :size]
    torch.testing.assert_close(shifted, reflected, rtol=0, atol=0.1)


def _colours(**given):
    neutral = {"brightness": 0, "contrast": 1, "luma_flip": 0, "hue": 0, "saturation": 1}
    settings = {k: torch.tensor([float(v)], dtype=torch.float64) for k, v in neutral.items()}
    return settings | {k: torch.tensor([v], dtype=torch.float64) for k, v in given.items()}


def _derived(rgb, brightness, contrast, luma_flip, hue, saturation):
    """Apply the five colour transforms one by one: Rodrigues' formula, then the grey axis."""
    rgb = (rgb + brightness) * contrast
    axis = np.ones(3) / math.sqrt(3)
    rgb = rgb - 2 * luma_flip * (rgb @ axis) * axis
    along = (rgb @ axis) * axis
    turned = rgb * math.cos(hue) + np.cross(axis, rgb) * math.sin(hue)
    rgb = turned + along * (1 - math.cos(hue))
    along = (rgb @ axis) * axis
    return along + (rgb - along) * saturation


@pytest.mark.parametrize(
    "given",
    [
        {"brightness": 0.3},
        {"contrast": 1.7},
        {"luma_flip": 1.0},
        {"hue": 2.0},
        {"saturation": 0.4},
        {"brightness": -0.2, "contrast": 0.6, "luma_flip": 1.0, "hue": -1.1, "saturation": 2.0},
    ],
)
def test_colours_equal_a_derivation_in_float64(given):
    settings = _colours(**given)
    rgb = torch.randn(1, 3, 1, 1, dtype=torch.float64, generator=_random())
    found = ada.recolour(rgb, ada.colour_matrix(**settings)).flatten().numpy()
    numbers = {name: float(value) for name, value in settings.items()}
    np.testing.assert_allclose(found, _derived(rgb.flatten().numpy(), **numbers), rtol=1e-13)


def test_a_third_of_a_turn_of_the_hue_swaps_channels():
    red = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).view(1, 3, 1, 1)
    turned = ada.recolour(red, ada.colour_matrix(**_colours(hue=2 * math.pi / 3)))
    torch.testing.assert_close(turned.flatten(), torch.tensor([0.0, 1.0, 0.0]).double())
    assert colorsys.rgb_to_hsv(*turned.flatten().tolist())[0] == pytest.approx(1 / 3)


def test_each_transform_is_drawn_from_the_papers_distribution():
    count, p, size = 40_000, 0.5, 64
    flip, turns, shift = ada.draw_blit(count, size, p, _random(1))
    assert flip.float().mean() == pytest.approx(p / 2, abs=0.01)
    shares = torch.bincount(turns, minlength=4) / count
    torch.testing.assert_close(
        shares, torch.tensor([0.625, 0.125, 0.125, 0.125]), rtol=0, atol=0.01
    )
    assert shift.abs().max() == 8  # an eighth of the side
    # 1/17 of those chosen round to 0, about: half a pixel of 8 on either side.
    assert (shift == 0).all(1).float().mean() == pytest.approx(1 - p + p / 256, abs=0.01)
    linear, fraction = ada.draw_warp(count, size, p, _random(2))
    assert fraction[fraction != 0].std() == pytest.approx(8, rel=0.02)
    still = (linear == torch.eye(2)).all(2).all(1).float().mean()
    # Neither rotation (together p), nor scale, nor stretch.
    assert still == pytest.approx((1 - p) ** 3, abs=0.01)
    size_change = linear.det().log() / 2
    chosen = size_change.abs() > 1e-6
    assert chosen.float().mean() == pytest.approx(p, abs=0.01)
    assert size_change[chosen].std() == pytest.approx(0.2 * math.log(2), rel=0.02)
    matrix = ada.draw_colour(count, p, _random(3))
    grey = matrix[:, :3, :3].sum(2)[:, 0]  # what 1 1 1 becomes: contrast, and the flip's sign
    assert (grey < 0).float().mean() == pytest.approx(p / 2, abs=0.01)
    contrast = grey.abs().log()
    assert contrast[contrast.abs() > 1e-5].std() == pytest.approx(0.5 * math.log(2), rel=0.02)
    brightness = matrix[:, 0, 3] / grey
    assert (brightness.abs() > 1e-6).float().mean() == pytest.approx(p, abs=0.01)
    assert brightness[brightness.abs() > 1e-6].std() == pytest.approx(0.2, rel=0.02)
    # In the plane across the grey axis, colours turn and stretch by the saturation.
    across = (matrix[:, :3, :3].det().abs() / contrast.exp() ** 3).log() / 2
    assert across[across.abs() > 1e-4].std() == pytest.approx(math.log(2), rel=0.02)


def test_the_pipeline_is_differentiable_twice_and_a_function_of_its_stream():
    augment = ada.Augment(8).double()
    images = _images().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, 0.9, _random(5)), images, fast_mode=True)
    again = torch.autograd.gradgradcheck
    assert again(lambda x: augment(x, 0.9, _random(5)) ** 2, images, fast_mode=True)
    with torch.no_grad():
        once, again = augment(images, 0.9, _random(5)), augment(images, 0.9, _random(5))
        assert torch.equal(once, again)
        assert not torch.equal(once, augment(images, 0.9, _random(6)))
        assert not torch.equal(once[0] - once[1], images[0] - images[1])


def test_what_is_not_of_its_size_is_refused():
    with pytest.raises(DataError, match=r"are \(3, 3, 8, 8\): give \(N, 3, 16, 16\)"):
        ada.Augment(16)(_images(), 0.5, _random())
