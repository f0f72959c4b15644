import math

import pytest
import torch

from harness.errors import DataError
from harness.metrics.path_length import (
    crop_and_shrink,
    mean_path_length,
    path_ends,
    path_length,
    places,
    slerp,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_slerp_goes_along_the_arc_at_even_speed() -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.5]])
    for share in (0.0, 1 / 3, 1.0):
        angle = share * math.pi / 2
        expected = torch.tensor([[math.cos(angle), math.sin(angle)]])
        torch.testing.assert_close(slerp(a, b, torch.tensor([[share]])), expected)
    torch.testing.assert_close(slerp(a, a, torch.tensor([[0.5]])), torch.tensor([[1.0, 0.0]]))


def test_ends_stand_side_by_side_and_a_step_apart() -> None:
    ends, share = normal(7, 2, 5), torch.rand(7, generator=torch.Generator().manual_seed(1))
    first, second = path_ends(ends, share, 0.25, "W").unflatten(0, (-1, 2)).unbind(1)
    torch.testing.assert_close(second - first, 0.25 * (ends[:, 1] - ends[:, 0]))
    torch.testing.assert_close(first, ends[:, 0] + share[:, None] * (ends[:, 1] - ends[:, 0]))
    first, second = path_ends(ends, share, 0.25, "Z").unflatten(0, (-1, 2)).unbind(1)
    directions = torch.nn.functional.normalize(ends, dim=-1)
    whole = (directions[:, 0] * directions[:, 1]).sum(1).acos()
    torch.testing.assert_close((first * second).sum(1).acos(), 0.25 * whole, rtol=1e-4, atol=1e-5)


def test_m12_outliers_are_discarded_by_percentiles_whose_values_stay() -> None:
    # Of 0..100 the 1st percentile is 1 and the 99th 99.
    lengths = torch.arange(101.0)[normal(101).argsort()]
    lengths[lengths == 100] = 1e9
    assert mean_path_length(lengths * 0.01, epsilon=0.1) == pytest.approx(50.0)
    # Between two values, the outer one is taken.
    assert mean_path_length(torch.tensor([0.0, 4.0]), epsilon=0.5) == pytest.approx(8.0)


def squared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first - second).square().sum(dim=(1, 2, 3))


def test_a_linear_generators_length_in_w_is_that_of_the_way() -> None:
    """G(w) = A w: a step of epsilon moves the image by epsilon A (b - a), wherever it begins."""
    matrix, ends = normal(12, 5, seed=3).double(), normal(600, 2, 5).double()
    found = path_length(
        lambda first, codes: (codes @ matrix.T).view(-1, 3, 2, 2),
        squared,
        ends,
        places(600, 0).double(),
        space="W",
        pairs=70,
    )
    ways = ((ends[:, 1] - ends[:, 0]) @ matrix.T).square().sum(1)
    assert found == pytest.approx(mean_path_length(ways, 1.0), rel=1e-6)


def test_a_scaling_generators_length_in_z_is_that_of_the_arc() -> None:
    """G(z) = 3 z of unit vectors: a step is the chord of epsilon times the angle."""
    ends = normal(600, 2, 12).double()
    found = path_length(
        lambda first, z: 3 * z.view(-1, 3, 2, 2), squared, ends, places(600, 0).double(), space="Z"
    )
    a, b = torch.nn.functional.normalize(ends, dim=-1).unbind(1)
    angles = (a * b).sum(1).acos()
    assert found == pytest.approx(mean_path_length(9 * angles.square(), 1.0), rel=1e-6)


def test_places_lie_on_the_whole_way_and_depend_on_seed_and_images() -> None:
    share = places(5000, 1)
    assert 0 <= share.min() < 0.01 < 0.99 < share.max() <= 1
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(share, places(5000, 1))
    assert not torch.equal(share, places(5000, 2))
    assert not torch.equal(share, places(5000, 1, images=4))


def test_no_pair_has_no_length() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        mean_path_length(torch.empty(0), 1e-4)
    with pytest.raises(DataError, match="at least one pair"):
        path_length(torch.relu, torch.dist, normal(0, 2, 5), torch.empty(0), space="Z")


def test_m12_the_crop_is_the_papers_and_may_be_left_out() -> None:
    images = normal(1, 3, 512, 512)
    assert torch.equal(crop_and_shrink(images, True), images[:, :, 192:448, 128:384])
    whole = crop_and_shrink(images, False)
    torch.testing.assert_close(whole, torch.nn.functional.avg_pool2d(images, 2))
    assert torch.equal(crop_and_shrink(images[:, :, :8, :8], False), images[:, :, :8, :8])
