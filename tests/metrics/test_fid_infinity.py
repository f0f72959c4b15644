"""FID-infinity, against the truth that samples were drawn from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import SpecError
from harness.metrics.digits_cnn import digits_split
from harness.metrics.evaluation import Evaluation
from harness.metrics.features import load_extractor
from harness.metrics.fid import Statistics, covariance_root, frechet_distance, statistics_of
from harness.metrics.fid_infinity import POINTS, fid_infinity, sizes
from harness.metrics.reference import load_reference
from harness.seeding import generator

F = 16


def law(apart: float) -> Statistics:
    """A normal distribution whose statistics are known, and so how far it is from another."""
    draws = np.random.default_rng(0)
    mixing = (draws.standard_normal((F, F)) + apart * draws.standard_normal((F, F))) / F**0.5
    cov = torch.from_numpy(mixing @ mixing.T + 0.05 * np.eye(F))
    return Statistics(mean=torch.full((F,), apart / 3).double(), cov=cov, count=10**9)


def samples(of: Statistics, count: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, F, generator=random, dtype=torch.float64)
    return normal @ torch.linalg.cholesky(of.cov).T + of.mean


REAL, FAKE = law(0.0), law(0.3)
TRUTH = frechet_distance(FAKE, REAL)


@pytest.mark.parametrize("count", [64, 200, 600])
def test_comes_closer_to_the_truth_than_fid_over_repeated_draws(count: int) -> None:
    plain, extrapolated = [], []
    for seed in range(40):
        features = samples(FAKE, count, seed)
        plain.append(frechet_distance(statistics_of(features), REAL) - TRUTH)
        extrapolated.append(fid_infinity(features, REAL) - TRUTH)
    assert np.mean(plain) > 3 * np.std(plain) / 40**0.5  # FID is too high
    assert abs(np.mean(extrapolated)) < 0.35 * np.mean(plain)
    assert np.mean(np.abs(extrapolated)) < 0.8 * np.mean(np.abs(plain))


def test_is_the_value_at_nought_of_the_line_through_parts() -> None:
    """By hand: every part with its statistics, and numpy's least squares."""
    features = samples(FAKE, 200, 3)
    inverse = [1 / size for size in sizes(200, F)]
    found = fid_infinity(features, REAL, covariance_root(REAL.cov), seed=5)
    draws = generator(5, "fid infinity parts")
    values = [
        frechet_distance(statistics_of(features[torch.randperm(200, generator=draws)[:size]]), REAL)
        for size in sizes(200, F)
    ]
    assert found == pytest.approx(np.polyfit(inverse, values, 1)[1], rel=1e-9)


def test_equal_laws_average_to_nought() -> None:
    found = [fid_infinity(samples(REAL, 300, seed), REAL) for seed in range(30)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 30**0.5
    assert min(found) < 0


def test_parts_rise_evenly_to_all() -> None:
    assert sizes(50_000, 2048)[::14] == [5000, 50_000]  # the paper's
    assert sizes(2000, 64)[::14] == [200, 2000]
    assert sizes(8192, 2048)[::14] == [4096, 8192]
    for found in (sizes(2000, 64), sizes(8192, 2048)):
        assert len(set(found)) == POINTS
        assert max(np.diff(found)) - min(np.diff(found)) <= 1


def test_too_few_images_are_refused() -> None:
    with pytest.raises(SpecError, match="63 images are too few for 16 features: at least 64"):
        fid_infinity(samples(FAKE, 63, 0), REAL)
    assert np.isfinite(fid_infinity(samples(FAKE, 64, 0), REAL))


def test_the_same_twice_whatever_the_batches_and_another_by_another_seed(tmp_path: Path) -> None:
    extractor = load_extractor("digits-cnn")
    images = torch.cat([images for images, _ in digits_split()])
    reference = load_reference(images, extractor, cache_dir=tmp_path)

    def score(batch: int, seed: int = 2020) -> dict[str, float]:
        evaluation = Evaluation(
            ["fid_inf", "fid"], reference=reference, extractor=extractor, seed=seed
        )
        for part in images[:700].split(batch):
            evaluation.update(part)
        return evaluation.compute()

    first = score(700)
    assert first == score(700) == score(33) == score(500)
    assert list(first) == ["fid_inf[digits-cnn]", "fid[digits-cnn]"]
    other = score(700, seed=1)
    assert other["fid[digits-cnn]"] == first["fid[digits-cnn]"]
    assert other["fid_inf[digits-cnn]"] != first["fid_inf[digits-cnn]"]
