import pytest
import torch

from harness.images import to_float, to_uint8


def test_every_pixel_value_goes_round():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = to_float(pixels)
    assert images.dtype == torch.float32
    assert images.min() == -1
    assert images.max() == 1
    assert torch.equal(to_uint8(images), pixels)
    assert pixels.flatten().tolist() == list(range(256))


@pytest.mark.parametrize(
    ("value", "pixel"),
    [(-1.0, 0), (1.0, 255), (-3.0, 0), (1.02, 255), (300.0, 255), (1 / 127.5 * 0.4, 128)],
)
def test_w4_values_are_rounded_and_clamped_never_cut_or_wrapped(value, pixel):
    assert int(to_uint8(torch.tensor([value]))) == pixel


def test_rounding_is_to_the_nearest():
    steps = torch.tensor([99.4, 99.6, 100.4])
    assert to_uint8(steps / 127.5 - 1).tolist() == [99, 100, 100]


@pytest.mark.parametrize("convert", [to_float, to_uint8])
def test_what_is_given_stays_as_it_is(convert):
    given = torch.zeros(2, 3, 4, 4, dtype=torch.float32 if convert is to_uint8 else torch.uint8)
    kept = given.clone()
    convert(given)
    assert torch.equal(given, kept)


def test_half_precision_is_taken():
    assert to_uint8(torch.tensor([0.5], dtype=torch.float16)).tolist() == [191]
