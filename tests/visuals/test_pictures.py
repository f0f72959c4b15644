"""From images to pictures; W-numbers are the peer's faults."""

import numpy as np
import pytest
import torch

from harness.images import to_uint8
from harness.structures import DataSample, images_in
from harness.visuals.answers import chosen
from harness.visuals.pictures import Style, pictures, pixels

RED = torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)


def flat(value, channels=3, size=32):
    return torch.full((channels, size, size), float(value))


def one(images, **style):
    (picture,) = pictures(images, Style(**style)).values()
    return picture


def test_w4_pixels_are_rounded_and_clamped_and_never_wrap():
    image = torch.tensor([-9.0, -1.0, 0.004, 0.5, 1.0, 1.4, float("inf"), float("nan")])
    drawn = pixels(image.view(1, 1, 8), Style())[0, 0, 0]
    assert drawn.tolist() == [0, 0, 128, 191, 255, 255, 255, 0]
    image = torch.rand(3, 5, 5) * 2.4 - 1.2
    assert torch.equal(pixels(image, Style())[0], to_uint8(image))


def test_w4_gray_images_and_gray_bgr_are_drawn():
    for order in ("rgb", "bgr"):
        drawn = pixels(flat(0.5, channels=1), Style(color_order=order))
        assert drawn.shape == (1, 3, 32, 32)
        assert (drawn == 191).all()


def test_w4_the_rest_of_a_grid_is_black():
    picture = one({"fake_img": [flat(1)] * 5})
    assert picture.shape == (64, 96, 3)
    assert (picture[32:, 64:] == 0).all()
    assert (picture[:, :64] == 255).all()


def test_colour_order_means_and_deviations_are_those_of_the_images_given():
    image = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1)
    style = {"target_mean": [1, 2, 3], "target_std": [2, 1, 0.5]}
    assert pixels(image, Style(**style)).flatten().tolist() == [21, 22, 18]
    assert pixels(image, Style(**style, color_order="bgr")).flatten().tolist() == [18, 22, 21]
    assert pixels(image.byte(), Style(**style)).flatten().tolist() == [10, 20, 30]


def test_images_of_different_sizes_stand_in_one_grid():
    picture = one({"fake_img": [flat(1, size=40), flat(1, size=33)]}, n_row=2)
    assert picture.shape == (40, 80, 3)
    assert (picture[:33, 40:73] == 255).all()
    assert (picture[33:, 40:] == 0).all()
    assert (picture[:, 73:] == 0).all()


def test_v9_sequences_stand_one_a_row_or_move():
    sequence = torch.stack([flat(v) for v in (-1.0, 0.0, 1.0)])
    images = {"fake_img": [sequence, sequence[:2]]}
    still = one(images)[::32, ::32, 0].tolist()
    assert still == [[0, 128, 255], [0, 128, 0]]
    film = one(images, vis_mode="gif", n_row=2)
    assert film[:, 0, ::32, 0].tolist() == [[0, 0], [128, 128], [255, 128]]
    skipped = one({"fake_img": [torch.cat([sequence] * 2)]}, vis_mode="gif", n_skip=4)
    assert skipped[:, 0, 0, 0].tolist() == [0, 128, 255]  # frames 0, 4 and the last


def test_draw_gt_puts_each_real_image_at_the_left():
    images = {"fake_img": [flat(0), flat(1)], "gt_img": [flat(-1), RED.expand(3, 32, 32)]}
    picture = one(images, draw_gt=True, n_row=1)
    assert picture[::32, ::32].tolist() == [
        [[0, 0, 0], [128, 128, 128]],
        [[255, 0, 0], [255, 255, 255]],
    ]
    assert (one(images, n_row=1)[0] == 128).all()


def test_draw_gt_finds_the_namesake_among_several_and_says_if_there_is_none():
    images = {"ema.fake_b": [flat(0)], "gt_a": [flat(-1)], "gt_b": [flat(1)]}
    assert one(images, draw_gt=True)[0, 0, 0] == 255
    with pytest.raises(ValueError, match=r"which real image .*'ema.fake_b'\? Name it 'gt_b'"):
        one({k: v for k, v in images.items() if k == "ema.fake_b"}, draw_gt=True)


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="holds no image"):
        pictures(images_in({"loss": torch.tensor(1.0)}), Style())


def sample(value):
    orig = DataSample(fake_img=flat(value))
    ema = DataSample(fake_img=flat(-value), noise=torch.zeros(5))
    return DataSample(ema=ema, orig=orig, gt_img=flat(0), gt_label=3)


def test_nested_images_are_named_by_path_and_chosen_by_path_or_sample():
    images = images_in([sample(0.5), sample(0.25)])
    assert set(images) == {"ema.fake_img", "orig.fake_img", "gt_img"}
    assert [float(image.max()) for image in images["orig.fake_img"]] == [0.5, 0.25]
    assert set(chosen(images, [])) == {"ema.fake_img", "orig.fake_img"}
    for keys, names in [
        (["ema"], ["ema.fake_img"]),
        (["ema.fake_img"], ["ema.fake_img"]),
        (["orig", "ema"], ["orig.fake_img", "ema.fake_img"]),
        (["gt_img"], ["gt_img"]),
    ]:
        assert list(chosen(images, keys)) == names
    with pytest.raises(ValueError, match=r"'em': no such image .*: ema.fake_img, "):
        chosen(images, ["em"])


def test_samples_of_different_keys_are_refused():
    with pytest.raises(ValueError, match="of one answer hold images"):
        images_in([DataSample(a=flat(0)), DataSample(b=flat(0))])


def test_tensors_dicts_and_lists_are_read():
    batch = torch.zeros(2, 3, 4, 4)
    assert len(images_in(batch)["fake_img"]) == 2
    assert images_in(batch[:, None])["fake_img"][0].shape == (1, 3, 4, 4)
    assert list(images_in({"ema": batch, "mask": batch[:, :1], "features": batch[:, :2]})) == [
        "ema",
        "mask",
    ]
    assert len(images_in(list(batch))["fake_img"]) == 2
    assert images_in(None) == images_in([]) == {}


def test_pictures_are_uint8_rgb():
    picture = one({"fake_img": [RED.expand(3, 32, 32)]})
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [255, 0, 0]
