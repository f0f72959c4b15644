import pytest
import torch

from harness.errors import DataError, SpecError
from harness.metrics.features import EXTRACTORS, load_extractor, to_uint8, upscale_to


def test_bytes_survive_the_way_through_floats() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(levels.float() / 127.5 - 1), levels)


def test_floats_are_rounded_to_nearest_and_clamped() -> None:
    values = torch.tensor([-3.0, -1.0, -1 + 0.9 / 127.5, 1 - 0.4 / 127.5, 1.0, 1.5])
    assert to_uint8(values.view(1, 1, 2, 3)).flatten().tolist() == [0, 0, 1, 255, 255, 255]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_diverged_generator_is_not_scored(bad: float) -> None:
    with pytest.raises(DataError, match="diverged"):
        to_uint8(torch.full((1, 3, 2, 2), bad))


def test_upscaling_repeats_pixels() -> None:
    images = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert upscale_to(images, 4)[0, 0].tolist() == expected
    assert upscale_to(images, 2) is images


@pytest.mark.parametrize("size", [1, 6])
def test_upscaling_by_a_fraction_is_refused(size: int) -> None:
    with pytest.raises(DataError, match="whole multiple"):
        upscale_to(torch.zeros(1, 3, 4, 4), size)


def test_an_unknown_extractor_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match="'vgg': use one of digits-cnn, inception-v3-compat"):
        load_extractor("vgg")
    assert EXTRACTORS == ("digits-cnn", "inception-v3-compat")
