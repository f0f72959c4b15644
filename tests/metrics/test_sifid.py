"""SIFID against scipy in float64, at its ends, and in the directions that a user relies on."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image, ImageFilter

from harness.data.photograph import prepare, read
from harness.errors import DataError
from harness.metrics.diversity import Diversity
from harness.metrics.features import load_local_extractor
from harness.metrics.sifid import LocalReference, sifid, spread
from harness.spec.load import load

EXTRACTOR = load_local_extractor("random-conv-64")


def drawn(positions, features=6, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(
        random.normal(size=(positions, features)) @ np.diag(1.5 ** np.arange(features))
    )


def by_scipy(fake, real):
    means = [x.mean(0) for x in (fake, real)]
    covs = [np.cov(x, rowvar=False) for x in (fake, real)]
    root = scipy.linalg.sqrtm(covs[0] @ covs[1]).real
    return np.sum((means[0] - means[1]) ** 2) + np.trace(covs[0] + covs[1] - 2 * root)


@pytest.mark.parametrize(("fake", "real"), [(50, 50), (40, 90), (7, 300)])
def test_it_is_the_distance_that_scipy_finds(fake, real):
    one, other = drawn(fake, seed=1) + 0.3, drawn(real, seed=2)
    expected = by_scipy(one.numpy(), other.numpy())
    assert sifid(one, LocalReference.of(other)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("fake", "real"), [(4, 4), (4, 90), (2, 2)])
def test_fewer_positions_than_features_are_fine(fake, real):
    """Singular covariances: held against singular values, which need no root of a matrix."""
    one, other = drawn(fake, 12, seed=1), drawn(real, 12, seed=2)
    centred = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (one, other)]
    overlap = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    traces = sum(x.square().sum() for x in centred)
    expected = (one.mean(0) - other.mean(0)).square().sum() + traces - 2 * overlap
    assert sifid(one, LocalReference.of(other)) == pytest.approx(float(expected), rel=1e-5)


def test_one_position_has_no_covariance():
    with pytest.raises(DataError, match="at least 2 positions, an image gave 1"):
        LocalReference.of(drawn(1))


def of(image):
    pixels = torch.from_numpy(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)[None]))
    return EXTRACTOR.local(pixels)[0]


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(read("shipped:coffee")).resize((150, 100), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def real(photograph):
    return LocalReference.of(of(photograph))


def test_the_image_itself_scores_0(photograph, real):
    assert 0 <= sifid(of(photograph), real) < 1e-5


def test_it_rises_with_blur(photograph, real):
    scores = [
        sifid(of(photograph.filter(ImageFilter.GaussianBlur(radius))), real)
        for radius in (0, 0.5, 1, 2, 4)
    ]
    assert scores == sorted(scores)
    assert scores[1] > 100 * max(scores[0], 1e-7)


def test_it_rises_with_noise(photograph, real):
    noise = np.random.default_rng(0).normal(size=(100, 150, 3))
    scores = [
        sifid(of(np.clip(np.asarray(photograph) + level * noise, 0, 255).astype(np.uint8)), real)
        for level in (0, 5, 10, 20, 40)
    ]
    assert scores == sorted(scores)


def test_a_rearranged_image_is_nearer_than_another_one(photograph, real):
    halves = np.roll(np.asarray(photograph), 75, axis=1)
    other = Image.fromarray(read("shipped:rocket")).resize((150, 100))
    assert sifid(of(halves), real) < sifid(of(other), real) / 5


def test_copies_score_0_and_only_diversity_tells(photograph, real):
    pixels = torch.from_numpy(np.asarray(photograph).transpose(2, 0, 1)[None].copy())
    copies = pixels.repeat(4, 1, 1, 1)
    assert spread([sifid(features, real) for features in EXTRACTOR.local(copies)]).high < 1e-5
    diversity = Diversity(pixels)
    diversity.update(copies)
    assert diversity.compute() == 0


def test_the_value_is_the_median_with_its_quartiles():
    found = spread([5.0, 1.0, 2.0, 100.0, 3.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 5.0)
    assert spread([4.0, 2.0]).median == 3.0
    with pytest.raises(DataError, match="draw at least one"):
        spread([])


def test_what_the_quick_question_s_photograph_scores_mirrored():
    """The number that docs/pages/singan.md sets beside the results: how low a sample may come."""
    spec = load(Path("experiments/singan-ema.yaml"))
    real = prepare(spec.data.root, spec.pyramid)
    image = torch.from_numpy(np.array(real.scales[max(real.scales)]))
    seen, mirrored = (EXTRACTOR.local(one)[0] for one in (image, image.flip(3)))
    assert sifid(mirrored, LocalReference.of(seen)) == pytest.approx(0.42, abs=0.01)
