import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.fid import (
    Statistics,
    StatisticsAccumulator,
    covariance_root,
    frechet_distance,
    statistics_of,
)


def correlated(n: int, f: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    draws = np.random.default_rng(seed)
    return torch.from_numpy(draws.standard_normal((n, f)) @ draws.standard_normal((f, f)) + offset)


def test_equals_the_closed_form_of_diagonal_gaussians() -> None:
    mean1, mean2 = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.0, 1.0, 0.5]).double()
    s1, s2 = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 0.25, 1.0]).double()
    expected = (mean1 - mean2).square().sum() + (s1.sqrt() - s2.sqrt()).square().sum()
    first = Statistics(mean=mean1, cov=s1.diag(), count=100)
    second = Statistics(mean=mean2, cov=s2.diag(), count=100)
    assert frechet_distance(first, second) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(("n", "f"), [(500, 8), (500, 64)])
def test_equals_scipy_sqrtm(n: int, f: int) -> None:
    fake, real = statistics_of(correlated(n, f, 0, 0.3)), statistics_of(correlated(n, f, 1))
    root = scipy.linalg.sqrtm(fake.cov.numpy() @ real.cov.numpy()).real
    expected = float((fake.mean - real.mean).square().sum()) + np.trace(
        fake.cov.numpy() + real.cov.numpy() - 2 * root
    )
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-10)
    cached = frechet_distance(fake, real, covariance_root(real.cov))
    assert cached == frechet_distance(fake, real)


def test_is_symmetric_and_zero_for_equal_statistics() -> None:
    a, b = statistics_of(correlated(300, 32, 2)), statistics_of(correlated(200, 32, 3))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert abs(frechet_distance(a, a)) < 1e-10 * float(a.cov.trace())


def test_singular_covariances_give_a_finite_distance() -> None:
    few = statistics_of(correlated(10, 32, 4))
    assert not few.full_rank
    assert not statistics_of(correlated(32, 32, 4)).full_rank
    assert statistics_of(correlated(33, 32, 4)).full_rank
    assert abs(frechet_distance(few, few)) < 1e-5 * float(few.cov.trace())


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(lambda s: sum(s) >= 2))
def test_statistics_do_not_depend_on_the_batch_size(sizes: list[int]) -> None:
    # A mean 1000 times the spread is where summing squares would lose the digits.
    features = correlated(sum(sizes), 6, 5, offset=1000.0)
    accumulator = StatisticsAccumulator()
    for batch in features.split(sizes):
        accumulator.update(batch)
    streamed = accumulator.compute()
    expected = np.cov(features.numpy(), rowvar=False)
    torch.testing.assert_close(streamed.mean, features.mean(dim=0), rtol=1e-13, atol=0)
    np.testing.assert_allclose(streamed.cov, expected, rtol=0, atol=1e-12 * max(1, expected.max()))
    assert streamed.count == sum(sizes)


def test_m8_float32_features_are_accumulated_in_float64() -> None:
    features = correlated(50, 4, 6, offset=100.0).float()
    statistics = statistics_of(features)
    assert statistics.mean.dtype == statistics.cov.dtype == torch.float64
    np.testing.assert_allclose(statistics.cov, np.cov(features.double().T.numpy()), rtol=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("batch", [0, 2, 4])
def test_a_feature_that_is_not_finite_is_told_in_the_end(value: float, batch: int) -> None:
    features = correlated(50, 4, 7)
    features[batch * 10 + 3, 2] = value
    features[49, 2] = -value  # infinities do not cancel
    accumulator = StatisticsAccumulator()
    for part in features.split(10):
        accumulator.update(part)
    with pytest.raises(FloatingPointError, match="a feature of an image"):
        accumulator.compute()
    assert StatisticsAccumulator().require_finite() is None


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(DataError, match="at least 2 images, 1 given"):
        statistics_of(torch.zeros(1, 3))
