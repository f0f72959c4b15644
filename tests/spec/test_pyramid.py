"""The pyramid as the authors shrink it; MMagic's form has its vectors in the data's tests."""

import pytest

from harness.errors import SpecError
from harness.spec.pyramid import Pyramid


def test_a_large_image_shrinks_first_and_the_coarsest_scale_has_min_size():
    pyramid = Pyramid.of(427, 640, 25, 250, 0.75, shrink=True)
    assert pyramid.sizes[-1] == (167, 250)
    assert pyramid.sizes[0] == (25, 37)
    assert len(pyramid.sizes) == 8 + 1 - 1
    assert pyramid.scale_factor == pytest.approx((25 / 167) ** (1 / 7))
    assert pyramid.scales == tuple(max(size) for size in pyramid.sizes)


def test_only_the_sizes_differ_between_the_two_forms():
    whole, shrunk = (Pyramid.of(427, 640, 25, 250, 0.75, shrink) for shrink in (False, True))
    assert whole.scale_factor == shrunk.scale_factor
    assert len(whole.sizes) == len(shrunk.sizes)
    assert whole.sizes[-1] == (427, 640)


def test_a_small_image_is_never_enlarged():
    whole, shrunk = (Pyramid.of(62, 47, 12, 250, 0.75, shrink) for shrink in (False, True))
    assert whole == shrunk


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("image", [(62, 70), (427, 640), (100, 1000), (2000, 333)])
@pytest.mark.parametrize("min_size", [12, 25])
def test_scales_rise_to_the_finest(shrink, image, min_size):
    pyramid = Pyramid.of(*image, min_size, 500, 0.75, shrink)
    assert list(pyramid.scales) == sorted(set(pyramid.scales))
    assert 0 < pyramid.scale_factor < 1


def test_a_coarsest_scale_above_the_finest_is_refused():
    """40 px of an image whose shorter side max_size takes to 38."""
    with pytest.raises(SpecError, match="min_size: 40 is not in"):
        Pyramid.of(62, 47, 40, 50, 0.75)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((25, 300), r"min_size: 25 is not in \(0, 21\), for an image of 300 x 25 px"),
        ((20, 20), r"min_size: 25 .* take a larger image, or lower min_size"),
        ((60, 900), r"min_size: 25 is not in \(0, 17\)"),
    ],
)
def test_an_image_too_small_for_the_pyramid_says_what_is_allowed(size, message):
    with pytest.raises(SpecError, match=message):
        Pyramid.of(*size, 25, 250, 0.75, shrink=True)


@pytest.mark.parametrize("factor", [0.99, 0.9999999])
def test_scales_of_one_size_are_refused(factor):
    with pytest.raises(SpecError, match=f"scale_factor_init: {factor} makes .* lower it"):
        Pyramid.of(62, 47, 12, 50, factor)
