import pytest
import torch

from harness.errors import DataError, SpecError
from harness.metrics.features import EXTRACTORS, load_extractor, upscale_to


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
    assert EXTRACTORS == ("digits-cnn", "inception-v3-compat", "random-conv-64")
