from math import prod

import numpy as np
import pytest
import torch

from harness.errors import SpecError
from harness.metrics.density_coverage import DensityCoverage, density_coverage
from harness.metrics.precision_recall import neighbour_distances


def features(n: int, seed: int, f: int = 5) -> torch.Tensor:
    return torch.randn(n, f, generator=torch.Generator().manual_seed(seed))


def by_definition(fake: torch.Tensor, real: torch.Tensor, k: int) -> tuple[float, float]:
    """Both numbers in float64, an image at a time."""
    x, y = (values.double().numpy() for values in (real, fake))
    radii = np.array([np.sort(np.linalg.norm(x - centre, axis=1))[k] for centre in x])
    within = np.array([np.linalg.norm(y - centre, axis=1) for centre in x]) <= radii[:, None]
    return within.sum(0).mean() / k, within.any(1).mean()


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "f"), [(40, 60, 5), (61, 17, 2), (30, 30, 16)])
def test_equals_the_definition_in_float64(n: int, m: int, f: int, k: int) -> None:
    fake, real = features(m, 1, f) * 0.9 + 0.3, features(n, 2, f)
    found = density_coverage(fake, real, k=k)
    assert found == pytest.approx(by_definition(fake, real, k), rel=1e-12)
    assert min(found) > 0
    # A sum over the wrong set, or a wrong divisor, is another number.
    assert found.density != pytest.approx(by_definition(real, fake, k)[0], rel=1e-3)


def test_equal_sets_and_sets_far_apart() -> None:
    real = features(50, 3)
    # In the ball of each real image are itself and, on the border at the last, its k neighbours.
    assert density_coverage(real.clone(), real, k=5) == (pytest.approx(6 / 5), 1.0)
    assert density_coverage(real + 1000, real) == (0.0, 0.0)


def test_numbers_on_a_line() -> None:
    """Balls of k = 1 around 0, 1, 3, 10: [-1, 1], [0, 2], [1, 5], [3, 17]."""
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
    fake = torch.tensor([[1.5], [4.0], [50.0]])  # in [0, 2] and [1, 5]; [1, 5] and [3, 17]; none
    assert density_coverage(fake, real, k=1) == DensityCoverage(4 / 3, 3 / 4)


def test_one_outlier_among_the_generated_moves_them_by_its_share() -> None:
    real, fake = features(60, 4), features(60, 5)
    before = density_coverage(fake, real)
    after = density_coverage(torch.cat([fake, real[:1] + 1000]), real)
    assert after == (pytest.approx(before.density * 60 / 61), before.coverage)


def test_a_second_sample_of_the_real_distribution_reaches_what_the_paper_derives() -> None:
    """Density 1 and coverage 1 - prod (N - j) / (M + N - j), j = 1..k, of any distribution."""
    n, m, k = 60, 40, 5
    found = [
        density_coverage(features(m, 2 * seed, 3), features(n, 2 * seed + 1, 3), k=k)
        for seed in range(300)
    ]
    density, coverage = np.array(found).mean(0)
    assert density == pytest.approx(1, abs=0.02)
    expected = 1 - prod((n - j) / (m + n - j) for j in range(1, k + 1))
    assert coverage == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(("rows", "columns"), [(7, 5), (1, 60), (40, 3), (39, 59)])
def test_blocks_change_no_bit(rows: int, columns: int) -> None:
    fake, real = features(60, 1), features(40, 2)
    assert density_coverage(fake, real, rows=rows, columns=columns) == density_coverage(fake, real)


def test_radii_may_be_known_already() -> None:
    fake, real = features(20, 1), features(30, 2)
    radii = neighbour_distances(real, 4)
    assert density_coverage(fake, real, k=4, real_radii=radii) == density_coverage(fake, real, k=4)
    assert density_coverage(fake, real, k=4, real_radii=0 * radii) == (0.0, 0.0)


@pytest.mark.parametrize(("fake", "real", "k"), [(9, 5, 5), (9, 9, 0), (0, 9, 5)])
def test_too_few_images_are_refused(fake: int, real: int, k: int) -> None:
    with pytest.raises(SpecError, match=rf"k is {k}, with {fake} fake and {real} real images"):
        density_coverage(features(fake, 0), features(real, 0), k=k)
