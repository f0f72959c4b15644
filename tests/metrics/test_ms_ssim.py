from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.errors import DataError
from harness.metrics.ms_ssim import WEIGHTS, consecutive_pairs, ms_ssim

VECTORS = np.load(Path(__file__).parents[1] / "vectors" / "metrics.npz")


def image_set(name: str) -> Tensor:
    return torch.from_numpy(VECTORS[name]).permute(0, 3, 1, 2)


def noise(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, height, width), generator=draws, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("b", "c", "ms_ssim_bc"), ("noise", "b", "ms_ssim_ab"), ("b", "b", "ms_ssim_bb")],
)
def test_agrees_with_the_vectors(first: str, second: str, expected: str) -> None:
    score = float(ms_ssim(image_set(first), image_set(second)).mean())
    assert score == pytest.approx(float(VECTORS[expected]), abs=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (28, 28), (33, 47), (64, 17)])
def test_any_size_works_and_equal_images_score_one(size: tuple[int, int]) -> None:
    images = noise(2, *size)
    torch.testing.assert_close(ms_ssim(images, images), torch.ones(2, dtype=torch.float64))
    other = ms_ssim(images, noise(2, *size, seed=1))
    assert bool(((other >= 0) & (other < 1)).all())


def test_constant_images_differ_in_the_luminance_of_the_coarsest_scale_alone() -> None:
    x, y = (torch.full((1, 3, 28, 28), value, dtype=torch.uint8) for value in (50, 100))
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 50 * 100 + c1) / (50**2 + 100**2 + c1)
    assert float(ms_ssim(x, y)) == pytest.approx(luminance ** WEIGHTS[-1], rel=1e-9)


def test_more_noise_is_less_similar_and_order_does_not_matter() -> None:
    clean = image_set("b")
    scores = []
    for deviation in (4, 16, 64):
        disturbance = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        noisy = (clean + deviation * disturbance).clamp(0, 255).to(torch.uint8)
        scores.append(float(ms_ssim(clean, noisy).mean()))
        assert scores[-1] == pytest.approx(float(ms_ssim(noisy, clean).mean()), rel=1e-12)
    assert scores == sorted(scores, reverse=True)


def test_pairs_are_consecutive_and_an_odd_image_is_left_out() -> None:
    first, second = consecutive_pairs(torch.arange(5).view(5, 1, 1, 1))
    assert first.flatten().tolist() == [0, 2]
    assert second.flatten().tolist() == [1, 3]


def test_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one shape"):
        ms_ssim(noise(1, 8, 8), noise(1, 8, 9))
