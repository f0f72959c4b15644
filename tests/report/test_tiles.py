import numpy as np
import pytest
from film_records import noise, pixels_of

from harness.report.tiles import Cut, enlarged, nearest, png, sheet, squared


def test_a_whole_factor_repeats_every_pixel():
    images = noise(0, 3, 4)
    assert (nearest(images, 12, 8) == images.repeat(3, 1).repeat(2, 2)).all()
    assert (nearest(images, 4, 4) == images).all()


def test_another_factor_takes_the_pixel_under_each_centre():
    ramp = np.arange(3, dtype=np.uint8).reshape(1, 1, 3, 1)
    # Centres of 5 pixels in those of 3: 0.3, 0.9, 1.5, 2.1, 2.7.
    assert nearest(ramp, 1, 5)[0, 0, :, 0].tolist() == [0, 0, 1, 2, 2]
    assert nearest(ramp, 1, 2)[0, 0, :, 0].tolist() == [0, 2]


@pytest.mark.parametrize(("size", "wanted"), [(8, 48), (32, 64), (48, 48), (128, 128), (5, 50)])
def test_small_images_are_enlarged_by_a_whole_factor(size, wanted):
    assert enlarged(noise(0, 1, size)).shape == (1, wanted, wanted, 3)


def test_tiles_stand_row_by_row_with_white_between():
    tiles = noise(0, 7, 2, 3)
    whole = sheet(tiles, 3, gap=1)
    assert whole.shape == (2 * 2 + 1, 3 * 3 + 2, 3)
    assert (whole[3:5, 4:7] == tiles[4]).all()  # the seventh has no whole row
    assert (whole[2] == 255).all()
    assert (whole[:, 3] == 255).all()
    assert (sheet(tiles, 7) == np.concatenate(list(tiles), axis=1)).all()


@pytest.mark.parametrize("size", [(2, 5), (5, 2)])
def test_tiles_that_are_not_square_are_seen_through_beside(size):
    tiles = noise(0, 2, *size)
    square = squared(tiles)
    assert square.shape == (2, 5, 5, 4)
    inside = square[:, 1:3] if size == (2, 5) else square[:, :, 1:3]
    assert (inside[..., :3] == tiles).all()
    assert (inside[..., 3] == 255).all()
    assert square[..., 3].sum() == 2 * 10 * 255
    assert squared(tiles[:, :2, :2]).shape == (2, 2, 2, 3)


def test_grey_pictures_are_kept_as_grey():
    grey = noise(0, 1, 20, channels=1)[0].repeat(3, 2)
    assert (pixels_of(png(grey)) == grey[..., 0]).all()
    colour = noise(0, 1, 20)[0]
    assert (pixels_of(png(colour)) == colour).all()
    assert len(png(grey)) < len(png(colour)) / 2


def test_frames_go_first_then_tiles_then_size():
    cut, seen = Cut(40, 16, 128), []
    while (smaller := cut.smaller(1.5)) is not None:
        seen.append(smaller)
        cut = smaller
    assert [c.frames for c in seen[:5]] == [26, 17, 11, 8, 8]
    assert [c.tiles for c in seen[3:8]] == [16, 10, 6, 4, 4]
    assert [c.tile_px for c in seen[6:10]] == [128, 64, 32, 32]
    assert seen[-1] == Cut(1, 1, 1)


@pytest.mark.parametrize(
    ("frames", "wanted"), [(1, [6]), (2, [0, 6]), (3, [0, 3, 6]), (7, [*range(7)])]
)
def test_the_last_frame_is_always_shown_and_the_first_beside_it(frames, wanted):
    assert Cut(frames, 1, 1).places(7) == wanted


@pytest.mark.parametrize(
    ("tiles", "grid"),
    [(16, (4, 4)), (12, (4, 3)), (8, (3, 2)), (6, (3, 2)), (2, (2, 1)), (1, (1, 1))],
)
def test_a_frame_has_whole_rows(tiles, grid):
    assert Cut(1, tiles, 8).grid == grid
