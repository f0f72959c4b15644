import pytest
import torch

from harness.errors import SpecError
from harness.metrics.precision_recall import (
    nearest_distances,
    neighbour_distances,
    precision_recall,
)


def features(n: int, seed: int, f: int = 5) -> torch.Tensor:
    return torch.randn(n, f, generator=torch.Generator().manual_seed(seed))


def test_radii_are_those_of_a_sort_over_all_others() -> None:
    x = features(23, 0)
    expected = torch.cdist(x.double(), x.double()).sort(dim=1).values[:, 3]
    torch.testing.assert_close(neighbour_distances(x, 3).double(), expected)


def test_all_nearest_distances_are_the_radii_of_every_k() -> None:
    x = features(23, 0)
    found = nearest_distances(x, 5, rows=4, columns=9)
    assert all(torch.equal(found[:, k - 1], neighbour_distances(x, k)) for k in range(1, 6))


def test_known_radii_give_the_same_numbers() -> None:
    fake, real = features(30, 1) + 0.7, features(40, 2)
    radii = nearest_distances(real, 5)[:, 2]
    assert precision_recall(fake, real, real_radii=radii) == precision_recall(fake, real)
    assert precision_recall(fake, real, real_radii=0 * radii).precision == 0


def test_equals_the_definition_written_out() -> None:
    fake, real = features(30, 1) + 0.7, features(40, 2)

    def inside(point: torch.Tensor, manifold: torch.Tensor) -> bool:
        return any(
            (point - centre).norm() <= (manifold - centre).norm(dim=1).sort().values[3]
            for centre in manifold
        )

    result = precision_recall(fake, real, k=3)
    assert result.precision == sum(inside(p, real) for p in fake) / 30
    assert result.recall == sum(inside(p, fake) for p in real) / 40
    assert 0 < result.precision < 1 > result.recall > 0


@pytest.mark.parametrize(("rows", "columns"), [(7, 5), (1, 40), (40, 3)])
def test_blocks_change_no_number(rows: int, columns: int) -> None:
    fake, real = features(30, 1) + 0.7, features(40, 2)
    assert precision_recall(fake, real, rows=rows, columns=columns) == precision_recall(fake, real)


def test_equal_sets_are_wholly_within_one_another_and_far_ones_not_at_all() -> None:
    x = features(20, 3)
    assert precision_recall(x, x.clone()) == (1.0, 1.0)
    assert precision_recall(x + 100, x) == (0.0, 0.0)
    # A set of copies has manifolds of no width, which still hold the copies.
    same = torch.full((6, 5), 1000.1)
    assert precision_recall(same, same.clone()) == (1.0, 1.0)


def test_m14_a_set_without_a_kth_neighbour_is_refused() -> None:
    with pytest.raises(SpecError, match=r"k is 3, with 3 fake and 9 real images .* in 1\.\.2"):
        precision_recall(features(3, 0), features(9, 0))
