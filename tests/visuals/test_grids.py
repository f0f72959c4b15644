import numpy as np
import pytest
import torch

from harness.visuals.grids import grid


def numbered(count, channels, height, width):
    numbers = torch.arange(1, count + 1, dtype=torch.uint8).view(-1, 1, 1, 1)
    return numbers.expand(count, channels, height, width)


def corners(picture, tile):
    """Return the first pixel of each tile."""
    return picture[::tile, ::tile, 0].tolist()


def test_images_stand_side_by_side_in_reading_order_and_the_rest_is_black():
    picture = grid(numbered(5, 3, 32, 32))
    assert picture.shape == (64, 96, 3)
    assert picture.dtype == np.uint8
    assert corners(picture, 32) == [[1, 2, 3], [4, 5, 0]]


@pytest.mark.parametrize(
    ("columns", "expected"), [(1, [[1], [2], [3]]), (2, [[1, 2], [3, 0]]), (9, [[1, 2, 3]])]
)
def test_columns_are_as_many_as_asked_for_but_no_more_than_images(columns, expected):
    assert corners(grid(numbered(3, 3, 32, 32), columns), 32) == expected


def test_channels_stay_rgb_and_pixels_stay_in_place():
    image = torch.randint(0, 256, (1, 3, 40, 36), dtype=torch.uint8)
    np.testing.assert_array_equal(grid(image), image[0].permute(1, 2, 0).numpy())


def test_gray_becomes_rgb():
    picture = grid(numbered(2, 1, 32, 32))
    assert picture.shape == (32, 64, 3)
    assert (picture[..., 0] == picture[..., 2]).all()


@pytest.mark.parametrize(("side", "factor"), [(4, 8), (20, 2), (32, 1), (64, 1)])
def test_small_images_are_enlarged_by_a_whole_factor(side, factor):
    image = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    picture = grid(image)
    assert picture.shape == (side * factor, side * factor, 3)
    np.testing.assert_array_equal(picture[::factor, ::factor], image[0].permute(1, 2, 0).numpy())
