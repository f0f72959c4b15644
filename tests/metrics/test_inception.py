import hashlib
from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from harness.errors import DataError, WeightsError
from harness.metrics.extractor import LocalExtractor, full_precision
from harness.metrics.features import Extractor, load_extractor, load_local_extractor
from harness.metrics.inception import ENVIRONMENT_VARIABLE, FILE_NAME, SHA256, weights_path
from harness.metrics.perceptual import LooksClosely

NAME = "inception-v3-compat"


class Untrained(FeatureExtractorInceptionV3):
    def load_state_dict(self, state_dict: object) -> None:
        """Keep the random weights that the layers start with."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({}, path)
    torch.manual_seed(0)
    network = Untrained(NAME, ["2048"], feature_extractor_weights_path=str(path))
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def digest(weights: Path) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def extractor(weights: Path, digest: str) -> LocalExtractor:
    return load_local_extractor(NAME, weights=weights, weights_sha256=digest.upper())


def test_features_are_those_of_torch_fidelity(
    extractor: Extractor, weights: Path, digest: str
) -> None:
    images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    seen = extractor(images)
    original = FeatureExtractorInceptionV3(
        NAME, ["logits_unbiased", "2048"], feature_extractor_weights_path=str(weights)
    )
    logits, features = original(images)
    torch.testing.assert_close(seen.features, features)
    torch.testing.assert_close(seen.logits, logits)
    assert seen.features.shape == (2, extractor.num_features)
    assert seen.logits.shape == (2, extractor.num_classes)
    assert extractor.digest == digest


def test_a_closer_look_gives_the_same_of_bytes_and_rounds_nothing(extractor: Extractor) -> None:
    assert isinstance(extractor, LooksClosely)
    images = torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8)
    seen = extractor.look(images)
    torch.testing.assert_close(seen, extractor(images), rtol=1e-5, atol=1e-6)
    assert not torch.equal(extractor.look(images + 0.25).features, seen.features)


def test_local_features_are_what_the_second_pooling_is_given(
    extractor: LocalExtractor, weights: Path
) -> None:
    """At 299 x 299 px torch-fidelity resizes nothing either, and gives the pooled map's mean."""
    images = torch.randint(256, (2, 3, 299, 299), dtype=torch.uint8)
    local = extractor.local(images)
    assert local.shape == (2, 71 * 71, extractor.num_local_features)
    maps = local.transpose(1, 2).reshape(2, 192, 71, 71)
    pooled = torch.nn.functional.max_pool2d(maps, 3, 2).mean((2, 3))
    original = FeatureExtractorInceptionV3(
        NAME, ["192"], feature_extractor_weights_path=str(weights)
    )
    torch.testing.assert_close(pooled, original(images)[0])


def test_local_features_see_an_image_in_its_own_size(extractor: LocalExtractor) -> None:
    assert extractor.local(torch.zeros(1, 3, 23, 31, dtype=torch.uint8)).shape == (1, 2 * 4, 192)
    with pytest.raises(DataError, match="at least 23 x 23 px, got 31 x 22"):
        extractor.local(torch.zeros(1, 3, 22, 31, dtype=torch.uint8))


def test_grey_images_are_refused(extractor: Extractor) -> None:
    with pytest.raises(DataError, match=r"\(N, 3, H, W\)"):
        extractor(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_missing_weights_are_named_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache" / "gan-harness" / "weights" / FILE_NAME
    with pytest.raises(WeightsError) as caught:
        load_extractor(NAME)
    message = str(caught.value)
    assert str(expected) in message
    assert ENVIRONMENT_VARIABLE in message
    assert "\n" not in message


def test_the_environment_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(weights))
    assert weights_path() == weights
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        load_extractor(NAME)


def test_the_official_digest_ends_the_official_name() -> None:
    assert f"pt_inception-2015-12-05-{SHA256[:8]}.pth" == FILE_NAME
    assert len(SHA256) == 64


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="not an InceptionV3 state dict"):
        load_extractor(NAME, weights=path, weights_sha256=digest)


def test_full_precision_is_given_back() -> None:
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = True
    try:
        with full_precision():
            assert (convolutions.allow_tf32, products.allow_tf32) == (False, False)
        assert (convolutions.allow_tf32, products.allow_tf32) == (True, True)
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
