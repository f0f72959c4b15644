from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from harness.errors import SpecError
from harness.metrics.swd import laplacian_pyramid, level_sizes, patches, sliced_wasserstein, swd

VECTORS = np.load(Path(__file__).parents[1] / "vectors" / "metrics.npz")


def image_set(name: str) -> Tensor:
    return torch.from_numpy(VECTORS[name]).permute(0, 3, 1, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def score(fake: Tensor, real: Tensor, seed: int = 0) -> list[float]:
    return swd(patches(fake, seeded(1)), patches(real, seeded(2)), seeded(seed))


def test_the_zero_border_agrees_with_the_vectors() -> None:
    for i, level in enumerate(laplacian_pyramid(image_set("b") / 255, 3, border="zero")):
        np.testing.assert_allclose(level, VECTORS[f"laplacian_{i}"], atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (33, 20)])
def test_the_paper_form_agrees_with_scipy_filters(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).standard_normal(size)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    coarse = scipy.ndimage.convolve(image, kernel, mode="mirror")[::2, ::2]
    spread = np.zeros(size)
    spread[::2, ::2] = coarse
    fine = image - scipy.ndimage.convolve(spread, 4 * kernel, mode="mirror")
    levels = laplacian_pyramid(torch.from_numpy(image)[None, None], 2)
    np.testing.assert_allclose(levels[0][0, 0], fine, atol=1e-12)
    np.testing.assert_allclose(levels[1][0, 0], coarse, atol=1e-12)


def test_a_constant_image_has_no_detail_up_to_its_border() -> None:
    fine, coarse = laplacian_pyramid(torch.full((1, 3, 32, 32), 0.7), 2)
    torch.testing.assert_close(fine, torch.zeros_like(fine), atol=1e-6, rtol=0)
    torch.testing.assert_close(coarse, torch.full_like(coarse, 0.7))


def test_levels_stop_at_16_pixels() -> None:
    assert level_sizes(64, 64) == ((64, 64), (32, 32), (16, 16))
    assert level_sizes(40, 31) == ((40, 31), (20, 16))
    with pytest.raises(SpecError, match="8x8, it needs at least 16x16"):
        level_sizes(8, 8)


def test_patches_are_neighbouring_pixels_anywhere_in_the_image() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    (found,) = patches(ramp, seeded(0))
    assert found.shape == (2 * 128, 3 * 49)
    grids = found.view(256, 3, 7, 7)
    window = (torch.arange(7)[:, None] * 16 + torch.arange(7)).float()
    corners = grids[:, :, :1, :1]
    torch.testing.assert_close(grids - corners, window.expand_as(grids))
    rows, columns = corners[:, 0].flatten() // 16, corners[:, 0].flatten() % 16
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(10))


def test_patches_reach_all_of_an_oblong_image() -> None:
    rows = torch.arange(40, dtype=torch.uint8).view(1, 1, 40, 1).expand(1, 3, 40, 16)
    found = patches(rows.repeat(8, 1, 1, 1), seeded(0))[0].view(-1, 3, 7, 7)
    assert set(found[:, 0, 0, 0].tolist()) == set(range(34))


def test_patches_do_not_depend_on_the_batch_size() -> None:
    images, one, parts = image_set("b"), seeded(3), seeded(3)
    whole = patches(images, one)
    first, rest = patches(images[:1], parts), patches(images[1:], parts)
    for level, (a, b) in zip(whole, zip(first, rest, strict=True), strict=True):
        torch.testing.assert_close(level, torch.cat([a, b]), rtol=0, atol=1e-4)


def test_distance_along_one_axis_is_the_shift() -> None:
    points = torch.randn(500, 3, generator=seeded(4))
    shifted = points[torch.randperm(500, generator=seeded(5))] + torch.tensor([0.25, 0, 0])
    axes = torch.eye(3)
    assert sliced_wasserstein(points, shifted, axes[:, :1]) == pytest.approx(0.25, rel=1e-5)
    assert sliced_wasserstein(points, shifted, axes) == pytest.approx(0.25 / 3, rel=1e-5)


def test_equal_images_score_zero_and_noisier_ones_worse_at_every_level() -> None:
    real = image_set("b")
    descriptors = patches(real, seeded(0))
    assert swd(descriptors, descriptors, seeded(1)) == [0.0, 0.0, 0.0]
    disturbance = torch.randn(real.shape, generator=seeded(6))
    slight, strong = (
        (real + deviation * disturbance).clamp(0, 255).to(torch.uint8) for deviation in (8, 80)
    )
    assert all(a < b for a, b in zip(score(slight, real), score(strong, real), strict=True))


def test_the_score_is_that_of_the_paper_written_out() -> None:
    fake, real = (patches(image_set(name), seeded(7)) for name in ("b", "c"))
    draws, expected = seeded(8), []
    for pair in zip(fake, real, strict=True):
        projected = []
        directions = torch.randn(147, 512, generator=draws).double().numpy()
        for level in pair:
            channels = level.double().numpy().reshape(-1, 3, 49)
            mean, deviation = channels.mean((0, 2)), channels.std((0, 2))
            normal = (channels - mean[:, None]) / deviation[:, None]
            along = normal.reshape(-1, 147) @ (directions / np.linalg.norm(directions, axis=0))
            projected.append(np.sort(along, axis=0))
        expected.append(1000 * np.abs(projected[0] - projected[1]).mean())
    assert swd(fake, real, seeded(8)) == pytest.approx(expected, rel=1e-4)


def test_contrast_and_brightness_of_a_channel_do_not_count() -> None:
    halved = (torch.arange(128, dtype=torch.uint8) * 2)[(image_set("b") // 2).long()]
    tinted = halved.clone()
    tinted[:, 0] = halved[:, 0] // 2 + 60
    changed = swd(patches(halved, seeded(0)), patches(tinted, seeded(0)), seeded(1))
    assert max(changed) < 0.01


def test_the_generators_decide() -> None:
    real, fake = image_set("b"), image_set("c")
    assert score(fake, real, seed=1) == score(fake, real, seed=1) != score(fake, real, seed=2)


def test_one_colour_gives_no_nan() -> None:
    black = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    assert score(black, black) == [0.0]
