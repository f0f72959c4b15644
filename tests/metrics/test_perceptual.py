from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from harness.errors import SpecError, WeightsError
from harness.images import to_float
from harness.metrics.features import Features, load_extractor
from harness.metrics.perceptual import FeatureDistance, load_distance

CHANNELS = (64, 128, 256, 512, 512)


def images(n: int = 3, side: int = 8, seed: int = 0) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, side, side), generator=draws, dtype=torch.uint8)


def test_digits_distance_is_that_of_the_extractors_features() -> None:
    a, b = images(), images(seed=1)
    extractor = load_extractor("digits-cnn")
    expected = (extractor(a).features - extractor(b).features).square().sum(dim=1)
    distance = load_distance("digits-cnn")
    torch.testing.assert_close(distance(to_float(a), to_float(b)), expected, rtol=1e-4, atol=1e-6)


def test_distances_are_smooth_in_steps_far_below_one_grey_level() -> None:
    a = to_float(images())
    step = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    distance = load_distance("digits-cnn")
    small, smaller = (distance(a, a + step * size).mean() for size in (1e-3, 5e-4))
    assert small / smaller == pytest.approx(4, rel=0.02)


def test_distance_of_features_is_that_of_their_directions() -> None:
    a, b = images(), images(seed=1)
    extractor = load_extractor("digits-cnn")
    distance = FeatureDistance(extractor)
    assert distance.name == "digits-cnn"
    u, v = (extractor(x).features.double() for x in (a, b))
    cosines = (u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1))
    found = distance(to_float(a), to_float(b))
    torch.testing.assert_close(found.double(), 2 - 2 * cosines, rtol=1e-4, atol=1e-6)
    assert distance(to_float(a), to_float(a)).tolist() == [0.0] * 3


def test_distance_of_features_is_smooth_far_below_one_grey_level() -> None:
    a = to_float(images())
    step = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    distance = FeatureDistance(load_extractor("digits-cnn"))
    small, smaller = (distance(a, a + step * size).mean() for size in (1e-3, 5e-4))
    assert small / smaller == pytest.approx(4, rel=0.02)


def test_an_extractor_that_rounds_images_has_no_distance() -> None:
    class Rounding:
        name, digest, device = "rounding", "r" * 64, torch.device("cpu")
        num_features = num_classes = 1

        def __call__(self, images: torch.Tensor) -> Features:
            return Features(images.float().mean((1, 2, 3))[:, None], torch.zeros(len(images), 1))

    with pytest.raises(SpecError, match="'rounding' does not see steps below one grey level"):
        FeatureDistance(Rounding())


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lpips")
    draws = torch.Generator().manual_seed(0)
    linear = {
        f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=draws)
        for i, c in enumerate(CHANNELS)
    }
    torch.save(linear, folder / "linear.pth")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vgg = make_layers(cfgs["D"])
    torch.save({f"features.{k}": v for k, v in vgg.state_dict().items()}, folder / "vgg.pth")
    return folder / "linear.pth", folder / "vgg.pth"


def test_lpips_is_the_papers_sum_from_the_files_given(lpips_files: tuple[Path, Path]) -> None:
    linear, vgg_state = (torch.load(path, weights_only=True) for path in lpips_files)
    distance = load_distance("lpips-vgg16", weights=lpips_files[0], vgg16_weights=lpips_files[1])
    a, b = to_float(images(2, 32)), to_float(images(2, 32, seed=1))
    layers = make_layers(cfgs["D"])
    layers.load_state_dict({k.removeprefix("features."): v for k, v in vgg_state.items()})
    # Zhang et al. 2018, equation 1, after the relu of each of the five stages.
    shift, scale = (torch.tensor(v).view(3, 1, 1) for v in (SHIFT, SCALE))
    x, y = ((image - shift) / scale for image in (a, b))
    expected, stage = torch.zeros(2), 0
    for index, layer in enumerate(layers[:30]):
        assert isinstance(layer, nn.Module)
        x, y = layer(x), layer(y)
        if index in (3, 8, 15, 22, 29):
            u, v = (f / f.norm(dim=1, keepdim=True) for f in (x, y))
            weight = linear[f"lin{stage}.model.1.weight"]
            expected += ((u - v).square() * weight).sum(1).mean((1, 2))
            stage += 1
    torch.testing.assert_close(distance(a, b), expected.detach(), rtol=1e-3, atol=1e-6)
    assert distance(a, a).tolist() == [0.0, 0.0]


SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def test_m7_files_that_are_missing_or_others_are_named(
    tmp_path: Path, lpips_files: tuple[Path, Path]
) -> None:
    with pytest.raises(WeightsError, match=r"needs weights: .* nothing is downloaded"):
        load_distance("lpips-vgg16")
    with pytest.raises(WeightsError, match="needs vgg16_weights"):
        load_distance("lpips-vgg16", weights=lpips_files[0])
    with pytest.raises(WeightsError, match="cannot read weights"):
        load_distance("lpips-vgg16", weights=tmp_path / "no.pth")
    with pytest.raises(WeightsError, match="are not the weights of lpips-vgg16"):
        load_distance("lpips-vgg16", weights=lpips_files[1], vgg16_weights=lpips_files[1])
    with pytest.raises(SpecError, match="use one of digits-cnn, lpips-vgg16"):
        load_distance("vgg")
