import numpy as np
import pytest
import torch

from harness.errors import DataError
from harness.metrics.diversity import Diversity


def noise(count, height=24, width=36, seed=0):
    drawn = np.random.default_rng(seed).integers(256, size=(count, 3, height, width))
    return torch.from_numpy(drawn.astype(np.uint8))


def measured(real, *batches):
    diversity = Diversity(real)
    for batch in batches:
        diversity.update(batch)
    return diversity.compute()


def test_it_is_what_numpy_finds():
    real, fakes = noise(1, seed=1), noise(9, seed=2) // 2
    luma = np.array([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    intensities, own = ((x.numpy() * luma).sum(1) for x in (fakes, real))
    expected = intensities.std(0, ddof=1).mean() / own.std()
    assert measured(real, fakes) == pytest.approx(expected, rel=1e-12)


def test_copies_have_none():
    real = noise(1)
    assert measured(real, real.repeat(7, 1, 1, 1)) == 0


def test_independent_images_like_the_real_one_have_about_1():
    assert measured(noise(1, 96, 96, seed=5), noise(60, 96, 96, seed=6)) == pytest.approx(
        1, abs=0.03
    )


def test_half_the_contrast_has_half():
    real, fakes = noise(1, seed=1), noise(50, seed=2)
    halved = (fakes // 2 * 2, fakes // 2)
    ratio = measured(real, halved[1]) / measured(real, halved[0])
    assert ratio == pytest.approx(0.5, rel=1e-12)


def test_it_does_not_depend_on_batches_or_order_to_the_last_bit():
    real, fakes = noise(1), noise(11, seed=3)
    assert measured(real, fakes) == measured(real, *fakes.flip(0).split(3))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ((), "at least 2 samples, 0 given"),
        ((noise(1),), "at least 2 samples, 1 given"),
        ((noise(2, 24, 35),), r"samples of \(24, 35\) px for a real image of \(24, 36\) px"),
        ((noise(2).float(),), r"uint8 images of shape \(N, 3, H, W\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(batches, message):
    with pytest.raises(DataError, match=message):
        measured(noise(1), *batches)


def test_a_flat_image_is_refused():
    with pytest.raises(DataError, match="one intensity only"):
        Diversity(torch.full((1, 3, 8, 8), 9, dtype=torch.uint8))
