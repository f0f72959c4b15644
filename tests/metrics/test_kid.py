import itertools

import numpy as np
import pytest
import torch

from harness.errors import SpecError
from harness.metrics.kid import kid, squared_mmd


def normal(n: int, f: int, seed: int) -> torch.Tensor:
    return torch.randn(n, f, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_squared_mmd_is_the_unbiased_sum_over_pairs() -> None:
    x, y = normal(5, 3, 0), normal(5, 3, 1) + 0.5

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return (float(a @ b) / 3 + 1) ** 3

    pairs = list(itertools.permutations(range(5), 2))
    within = sum(k(s[i], s[j]) for s in (x, y) for i, j in pairs) / len(pairs)
    across = sum(k(a, b) for a in x for b in y) / 25
    assert squared_mmd(x, y) == pytest.approx(within - 2 * across, rel=1e-12)


def test_equal_laws_average_to_zero_and_different_ones_do_not() -> None:
    real = normal(4000, 8, 2)
    same = kid(normal(4000, 8, 3), real, subsets=40, subset_size=200)
    shifted = kid(normal(4000, 8, 3) + 1, real, subsets=40, subset_size=200)
    assert abs(same) < 0.02
    assert shifted > 1


def test_the_seed_draws_the_subsets() -> None:
    fake, real = normal(300, 4, 4), normal(200, 4, 5)

    def score(seed: int) -> float:
        return kid(fake, real, subsets=3, subset_size=50, seed=seed)

    assert score(1) == score(1) != score(2)


@pytest.mark.parametrize(("subsets", "size"), [(0, 10), (1, 1), (1, 31)])
def test_impossible_subsets_are_refused(subsets: int, size: int) -> None:
    with pytest.raises(SpecError, match=r"2\.\.30 with 40 fake and 30 real"):
        kid(normal(40, 2, 0), normal(30, 2, 1), subsets=subsets, subset_size=size)


def test_kid_is_the_mean_over_its_pairs_of_subsets_to_the_bit() -> None:
    x, y = normal(60, 3, 2).float(), normal(50, 3, 3).float()
    rng, total = np.random.RandomState(4), 0.0
    for _ in range(5):
        parts = (rng.choice(len(each), 20, replace=False) for each in (x, y))
        a, b = (each[torch.from_numpy(p)].double() for each, p in zip((x, y), parts, strict=True))
        total += float(squared_mmd(a, b))
    assert kid(x, y, subsets=5, subset_size=20, seed=4) == total / 5
