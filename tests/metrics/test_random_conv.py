import math

import numpy as np
import pytest
import torch

from harness.errors import DataError, SpecError
from harness.metrics.features import load_extractor, load_local_extractor
from harness.metrics.inception_score import inception_score
from harness.metrics.random_conv import RECEPTIVE_FIELD_PX, weights
from harness.metrics.reference import load_reference

DIGEST = "aa063c60714f4689bd12edd7cee7829dc9f157fd139e2301e8a5014a49027797"
NAME = "random-conv-64"


@pytest.fixture(scope="module")
def extractor():
    return load_local_extractor(NAME)


def noise(*shape, seed=0):
    drawn = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    return torch.from_numpy(drawn)


def test_the_weights_are_these_for_ever(extractor):
    assert extractor.digest == DIGEST
    assert weights()[0][0, 0, 0, :2].tolist() == [0.035377658903598785, 0.15601977705955505]


def test_features_of_an_image_are_the_mean_of_its_parts(extractor):
    images = noise(3, 3, 40, 57)
    local, seen = extractor.local(images), extractor(images)
    assert local.shape == (3, 6 * 11, 64)
    assert local.dtype == torch.float32
    torch.testing.assert_close(seen.features, local.mean(1))
    assert seen.logits.shape == (3, extractor.num_classes)


def test_a_position_sees_its_receptive_field_and_nothing_else(extractor):
    images = noise(1, 3, 41, 41)
    side = (41 - RECEPTIVE_FIELD_PX) // 4 + 1
    before = extractor.local(images).reshape(side, side, 64)
    changed = images.clone()
    changed[..., 20, 24] += 128
    moved = (extractor.local(changed).reshape(side, side, 64) != before).any(-1)
    rows, columns = (torch.arange(side) * 4 for _ in range(2))
    sees = ((rows <= 20) & (rows + RECEPTIVE_FIELD_PX > 20))[:, None] & (
        (columns <= 24) & (columns + RECEPTIVE_FIELD_PX > 24)
    )
    assert torch.equal(moved, sees)


def test_a_part_gives_the_same_wherever_it_lies(extractor):
    image = noise(1, 3, 17, 17)
    tiled = image.repeat(1, 1, 4, 4)[..., :49, :49]
    local = extractor.local(tiled).reshape(9, 9, 64)
    torch.testing.assert_close(local[0, 0], extractor.local(image)[0, 0])


def test_an_image_seen_alone_gives_what_it_gives_in_a_batch(extractor):
    images = noise(4, 3, 33, 29)
    alone = torch.cat([extractor.local(image[None]) for image in images])
    torch.testing.assert_close(extractor.local(images), alone, rtol=1e-5, atol=1e-5)


def test_most_first_filters_see_texture_and_no_brightness():
    means = weights()[0].mean((2, 3)).abs().amax(1)
    assert (means[8:] < 1e-6).all()
    assert (means[:8] > 1e-3).all()


def test_what_it_cannot_see_is_refused(extractor):
    with pytest.raises(DataError, match="at least 17 x 17 px, got 20 x 16: take a larger image"):
        extractor.local(noise(1, 3, 16, 20))
    with pytest.raises(DataError, match=r"\(N, 3, H, W\)"):
        extractor.local(torch.zeros(1, 3, 20, 20))
    with pytest.raises(SpecError, match="untrained and takes no weights"):
        load_extractor(NAME, weights_sha256="0" * 64)


def test_sifid_needs_an_extractor_of_parts():
    with pytest.raises(SpecError, match=r"'digits-cnn' sees whole images only: .* random-conv-64"):
        load_local_extractor("digits-cnn")


def test_there_is_a_fid_but_no_inception_score(extractor, tmp_path):
    images = noise(20, 3, 20, 20)
    reference = load_reference(images, extractor, cache_dir=tmp_path)
    assert reference.fid_floor > 0
    assert math.isnan(reference.inception_score)
    with pytest.raises(SpecError, match="no classes; use another one"):
        inception_score(extractor(images).logits)
