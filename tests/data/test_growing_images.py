"""Batches come from the current scale alone, wherever the arrays lie."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from harness.data.growing import GrowingImages, as_is
from harness.data.order import ShownImages
from harness.data.prepare import prepare
from harness.data.sources import DataSource
from harness.errors import DataError, SpecError

RNG = np.random.default_rng(4)
SCALES = {s: RNG.integers(0, 256, (10, 3, s, s), np.uint8) for s in (16, 4, 8)}
GIB = 2**30


def test_serves_the_smallest_scale_at_first():
    images = GrowingImages(SCALES)
    assert images.curr_scale == 4
    assert len(images) == 10
    np.testing.assert_array_equal(images[3]["inputs"], SCALES[4][3])


@pytest.mark.parametrize("room", [0.0, (SCALES[4].nbytes + SCALES[8].nbytes) / GIB, 1.0])
@pytest.mark.parametrize("scale", [4, 8, 16])
def test_a_batch_is_the_images_asked_for(room, scale):
    images = GrowingImages(SCALES, max_device_gib=room)
    images.update_annotations(scale)
    batch = images.__getitems__([7, 0, 7])
    assert set(batch) == {"inputs"}
    assert batch["inputs"].dtype == torch.uint8
    np.testing.assert_array_equal(batch["inputs"], SCALES[scale][[7, 0, 7]])
    np.testing.assert_array_equal(images.images, SCALES[scale])
    assert images.batch_collate(batch) is batch is as_is(batch)


@pytest.mark.parametrize(("share", "copied"), [(1.0, {4, 8}), (0.999, {4}), (0.0, set())])
def test_the_smallest_scales_move_to_the_device(share, copied):
    given = {s: pixels.copy() for s, pixels in SCALES.items()}
    room = (SCALES[4].nbytes + SCALES[8].nbytes) / GIB
    images = GrowingImages(given, max_device_gib=room * share)
    for scale, pixels in given.items():
        pixels[0] ^= 255  # seen only where the images still lie in the array given
        images.update_annotations(scale)
        assert np.array_equal(images[0]["inputs"], SCALES[scale][0]) == (scale in copied)


@pytest.mark.parametrize("room", [0.0, 1.0])
def test_batches_arrive_on_the_device(room):
    images = GrowingImages(SCALES, torch.device("meta"), room)
    assert images.__getitems__([1, 2])["inputs"].device.type == "meta"
    assert images.__getitems__([1, 2])["inputs"].shape == (2, 3, 4, 4)


@pytest.mark.gpu
@pytest.mark.parametrize("room", [0.0, 1.0])
def test_batches_arrive_on_the_gpu(room):
    images = GrowingImages(SCALES, "cuda", room)
    for scale in SCALES:
        images.update_annotations(scale)
        batch = images.__getitems__([9, 1])["inputs"]
        assert batch.is_cuda
        np.testing.assert_array_equal(batch.cpu(), SCALES[scale][[9, 1]])
        with pytest.raises(IndexError):
            images.__getitems__([10])


def test_update_tells_whether_the_scale_changed():
    images = GrowingImages(SCALES)
    assert images.update_annotations(4) is False
    assert images.update_annotations(16) is True
    assert images.update_annotations(16) is False
    assert images[0]["inputs"].shape == (3, 16, 16)


def test_a_scale_that_is_not_held_is_refused_and_changes_nothing():
    images = GrowingImages(SCALES)
    with pytest.raises(SpecError, match="scale 32: no images of that size; known are 4, 8, 16 px"):
        images.update_annotations(32)
    assert images.curr_scale == 4


@pytest.mark.parametrize("room", [0.0, 1.0])
@pytest.mark.parametrize("wanted", [[10], [-1], [0, 11]])
def test_an_index_outside_the_set_is_an_error(room, wanted):
    with pytest.raises(IndexError, match="set of 10"):
        GrowingImages(SCALES, max_device_gib=room).__getitems__(wanted)


@pytest.mark.parametrize(
    "wrong",
    [
        SCALES[8][:9],
        SCALES[8].astype(np.float32),
        SCALES[16],
        SCALES[8].transpose(0, 2, 3, 1),
    ],
)
def test_scales_that_do_not_belong_together_are_refused(wrong):
    with pytest.raises(DataError, match=r"scale 8: .* must be uint8 \(10, 3, H, W\)"):
        GrowingImages({4: SCALES[4], 8: wrong})


def test_no_scale_is_refused():
    with pytest.raises(SpecError, match="none given"):
        GrowingImages({})


@pytest.mark.parametrize("room", [0.0, 1.0])
def test_batches_never_alias_the_read_only_cache(tmp_path, room):
    source = DataSource(type="digits", resolution=8, max_images=9)
    prepared = prepare(source, [4], tmp_path)
    images = GrowingImages(prepared.scales, max_device_gib=room)
    before = images.__getitems__([2])["inputs"].clone()
    images.__getitems__([2])["inputs"].fill_(0)  # a crash, were it the map's memory
    assert before.any()
    assert torch.equal(images.__getitems__([2])["inputs"], before)


def test_every_batch_of_a_real_loader_has_the_scale_and_size_set_before_it():
    """Nothing is fetched ahead: no batch of the old scale or size follows a switch."""
    images, order = GrowingImages(SCALES), ShownImages(10, 6, seed=0)
    loader = iter(DataLoader(images, batch_sampler=order, collate_fn=images.batch_collate))
    table = [(4, 6), (4, 6), (8, 3), (16, 2), (16, 2), (4, 7)]
    for scale, batch_size in table:
        images.update_annotations(scale)
        order.set_batch_size(batch_size)
        assert next(loader)["inputs"].shape == (batch_size, 3, scale, scale)
    assert order.shown == sum(size for _, size in table)


def test_one_image_that_is_not_square_is_served_again_and_again():
    scales = {40: np.full((1, 3, 25, 40), 1, np.uint8), 57: np.full((1, 3, 57, 36), 2, np.uint8)}
    images = GrowingImages(scales)
    loader = iter(
        DataLoader(images, batch_sampler=ShownImages(1, 3, seed=5), collate_fn=images.batch_collate)
    )
    assert next(loader)["inputs"].shape == (3, 3, 25, 40)
    images.update_annotations(57)
    batch = next(loader)["inputs"]
    assert batch.shape == (3, 3, 57, 36)
    assert (batch == 2).all()


@pytest.mark.parametrize("shape", [(1, 3, 25, 41), (1, 3, 25, 25), (1, 3, 40)])
def test_a_scale_has_its_name_from_the_longer_side(shape):
    with pytest.raises(DataError, match="with a longer side of 40 px"):
        GrowingImages({40: np.zeros(shape, np.uint8)})
