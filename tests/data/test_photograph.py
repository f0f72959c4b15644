"""One photograph at every scale of its pyramid, whatever file it came in."""

import cv2
import numpy as np
import pytest
from PIL import Image

from harness.data import digest
from harness.data.photograph import prepare, read, resized
from harness.errors import DataError
from harness.spec.photographs import size_of
from harness.spec.pyramid import Pyramid


def pyramid_of(root):
    return Pyramid.of(*size_of(root), 25, 100, 0.75, shrink=True)


def test_every_scale_is_there_by_its_longer_side():
    pyramid = pyramid_of("shipped:china")
    real = prepare("shipped:china", pyramid)
    assert real.name == "china"
    assert tuple(real.scales) == pyramid.scales
    assert [pixels.shape for pixels in real.scales.values()] == [
        (1, 3, *size) for size in pyramid.sizes
    ]
    assert {pixels.dtype for pixels in real.scales.values()} == {np.dtype(np.uint8)}


def test_the_digest_is_of_the_whole_image_s_pixels():
    whole = read("shipped:flower").transpose(2, 0, 1)[None]
    real = prepare("shipped:flower", pyramid_of("shipped:flower"))
    assert real.digest == digest(whole)
    assert real.digest != prepare("shipped:china", pyramid_of("shipped:china")).digest


def test_stripes_finer_than_a_pixel_become_grey():
    """Without a filter before it, sampling them would give stripes again."""
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resized(stripes, (60, 60))
    assert np.ptp(small[10:-10, 10:-10]) <= 4
    assert abs(small.mean() - 127.5) < 2


def test_a_scale_of_the_image_s_own_size_is_the_image():
    image = read("shipped:chelsea")
    np.testing.assert_array_equal(resized(image, image.shape[:2]), image)


GREY = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) % 256


def saved(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return str(path)


def test_grey_gets_three_channels(tmp_path):
    image = read(saved(tmp_path / "a.png", GREY.astype(np.uint8)))
    np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, 2))


@pytest.mark.parametrize(("channels", "levels"), [(1, 0), (3, 1)])
def test_16_bits_are_scaled_and_not_wrapped(tmp_path, channels, levels):
    """Pillow cuts the lower byte of coloured ones off, which is a level at most."""
    grey = GREY % 255
    pixels = np.repeat((grey * 257 + 100)[..., None], channels, 2)
    image = read(saved(tmp_path / "a.png", pixels))
    assert np.abs(image.astype(int) - grey[..., None]).max() <= levels


def test_what_is_transparent_lies_on_white(tmp_path):
    pixels = np.zeros((40, 30, 4), np.uint8)
    pixels[:20, :, 3] = 255
    image = read(saved(tmp_path / "a.png", pixels))
    assert (image[:20] == 0).all()
    assert (image[20:] == 255).all()


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_an_image_is_turned_as_a_viewer_turns_it(tmp_path, orientation):
    """Against OpenCV, which applies EXIF's orientation by itself."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.effect_noise((40, 30), 80).convert("RGB")
    path = tmp_path / "a.jpg"
    image.save(path, exif=exif, quality=95, subsampling=0)
    read_here, theirs = read(str(path)), cv2.imread(str(path))[..., ::-1]
    assert read_here.shape[:2] == size_of(str(path))
    assert np.abs(read_here.astype(int) - theirs).max() <= 2


def test_a_torn_file_is_named(tmp_path):
    path = tmp_path / "torn.png"
    Image.effect_noise((200, 200), 50).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"torn.png: .*; give one sound image"):
        read(str(path))
