"""The nearest members, against a computation by hand in float64."""

import numpy as np
import pytest
import torch

from harness.metrics.nearest import median_nearest, nearest


def features(seed, count, F=12):
    return torch.randn(count, F, generator=torch.Generator().manual_seed(seed))


def by_hand(queries, members):
    """Every distance, NM, in float64."""
    a, b = queries.double().numpy(), members.double().numpy()
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


@pytest.mark.parametrize("columns", [1, 2, 7, 60, 61, 4096])
def test_it_is_what_a_comparison_of_all_pairs_gives_whatever_the_blocks(columns):
    queries, members = features(0, 9), features(1, 61)
    found = nearest(queries, members, 3, columns=columns)
    distances = by_hand(queries, members)
    wanted = distances.argsort(axis=1, kind="stable")[:, :3]
    assert (found.indices.numpy() == wanted).all()
    assert found.distances.dtype == torch.float64
    hand = np.take_along_axis(distances, wanted, 1)
    np.testing.assert_allclose(found.distances.numpy(), hand, rtol=1e-14)
    whole = nearest(queries, members, 3)
    assert torch.equal(found.distances, whole.distances)


@pytest.mark.parametrize("columns", [1, 2, 3, 100])
def test_of_equally_near_members_the_first_is_taken(columns):
    members = torch.tensor([[3.0], [1.0], [-1.0], [1.0], [0.0], [-1.0]])
    found = nearest(torch.zeros(1, 1), members, 4, columns=columns)
    assert found.indices.tolist() == [[4, 1, 2, 3]]
    assert found.distances.tolist() == [[0.0, 1.0, 1.0, 1.0]]


def test_differences_below_float32_are_told_apart():
    """Squares of features near 4096 hide what lies between in float32."""
    members = torch.full((3, 50), 4096.0)
    members[0, 0] += 0.0012
    members[1, 0] += 0.0010
    found = nearest(torch.full((1, 50), 4096.0), members, 3)
    assert found.indices.tolist() == [[2, 0, 1]] or found.indices[0, 0] == 2
    exact = by_hand(torch.full((1, 50), 4096.0), members)
    np.testing.assert_array_equal(found.distances.numpy()[0], np.sort(exact[0]))


@pytest.mark.parametrize("columns", [1, 5, 100])
def test_a_member_is_no_neighbour_of_itself_but_of_its_copy(columns):
    members = features(2, 20)
    members[13] = members[4]
    own = torch.tensor([4, 7])
    found = nearest(members[own], members, 1, own=own, columns=columns)
    assert found.indices[0].tolist() == [13]
    assert found.distances[0].tolist() == [0.0]
    assert found.distances[1] > 0


@pytest.mark.parametrize("count", [10, 41])
def test_the_median_is_over_each_ones_nearest_other(count):
    members = features(3, count)
    distances = by_hand(members, members)
    np.fill_diagonal(distances, np.inf)
    median, of = median_nearest(members)
    assert median == pytest.approx(np.median(distances.min(1)), rel=1e-14)
    assert of == count


def test_of_many_members_evenly_spread_ones_are_held_against_all():
    members = features(4, 41)
    distances = by_hand(members, members)
    np.fill_diagonal(distances, np.inf)
    median, of = median_nearest(members, most=5)
    assert of == 5
    assert median == pytest.approx(np.median(distances.min(1)[[0, 10, 20, 30, 40]]), rel=1e-14)
