import hashlib
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from harness.errors import DataError, WeightsError
from harness.metrics import digits_cnn
from harness.metrics.features import load_extractor
from harness.metrics.inception_score import inception_score

CARD = json.loads(digits_cnn.WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))


def test_shipped_weights_recognise_digits_never_trained_on() -> None:
    (training, _), (images, labels) = digits_cnn.digits_split()
    measured = digits_cnn.accuracy(load_extractor("digits-cnn")(images).logits, labels)
    assert measured >= 0.98
    assert measured == pytest.approx(CARD["accuracy"]["held_out"], abs=1e-9)
    seen = {image.numpy().tobytes() for image in training}
    assert not any(image.numpy().tobytes() in seen for image in images)


def test_the_card_describes_the_shipped_file() -> None:
    content = digits_cnn.WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == digits_cnn.SHA256 == CARD["sha256"]
    assert len(content) < 150_000
    assert sum(t.numel() for t in safetensors.torch.load(content).values()) == CARD["weights"]


def test_features_have_the_promised_shapes_and_average_the_channels() -> None:
    extractor = load_extractor("digits-cnn")
    (images, _), _ = digits_cnn.digits_split()
    seen = extractor(images[:5])
    assert seen.features.shape == (5, extractor.num_features)
    assert seen.logits.shape == (5, extractor.num_classes)
    assert seen.features.dtype == seen.logits.dtype == torch.float32
    tinted = images[:5].int() + torch.tensor([9, 0, -9]).view(3, 1, 1)
    within = tinted.clamp(9, 246).to(torch.uint8)
    swapped = within.flip(1)
    torch.testing.assert_close(extractor(within).features, extractor(swapped).features)


def test_real_digits_score_near_the_number_of_classes() -> None:
    train, held_out = digits_cnn.digits_split()
    images = torch.cat([train[0], held_out[0]])
    assert inception_score(load_extractor("digits-cnn")(images).logits, splits=1) > 9.7


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="reads 8x8 images, got 32x32"):
        load_extractor("digits-cnn")(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_other_weights_need_their_own_digest(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    content = safetensors.torch.save(digits_cnn.DigitsNetwork().state_dict())
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=digits_cnn.SHA256):
        load_extractor("digits-cnn", weights=path)
    digest = hashlib.sha256(content).hexdigest()
    assert load_extractor("digits-cnn", weights=path, weights_sha256=digest).digest == digest


@pytest.mark.parametrize("content", [b"", safetensors.torch.save({"x": torch.zeros(1)})])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not of the digits-cnn network"):
        load_extractor(
            "digits-cnn", weights=path, weights_sha256=hashlib.sha256(content).hexdigest()
        )


def test_the_recipe_is_deterministic_and_writes_weights_that_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits_cnn, "EPOCHS", 1)
    digits_cnn.write(tmp_path / "a")
    digits_cnn.write(tmp_path / "b")
    paths = [tmp_path / name / "digits-cnn.safetensors" for name in ("a", "b")]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert digests[0] == digests[1]
    again = load_extractor("digits-cnn", weights=paths[0], weights_sha256=digests[0])
    _, (images, labels) = digits_cnn.digits_split()
    card = json.loads((tmp_path / "a" / "digits-cnn.json").read_text(encoding="utf-8"))
    assert card.keys() == CARD.keys()
    assert card["sha256"] == digests[0]
    assert card["accuracy"]["held_out"] == digits_cnn.accuracy(again(images).logits, labels)


def test_halving_is_avg_pool2d_to_the_bit_and_so_are_its_gradients() -> None:
    draws = torch.Generator().manual_seed(0)
    maps = torch.randn(7, 5, 6, 8, generator=draws).mul(1e3).requires_grad_()
    both = [pool(maps) for pool in (digits_cnn.halved, lambda x: F.avg_pool2d(x, 2))]
    assert torch.equal(*both)
    weights = torch.randn(both[0].shape, generator=draws)
    grads = [torch.autograd.grad((pooled * weights).sum(), maps)[0] for pooled in both]
    assert torch.equal(*grads)


def test_the_network_gives_the_bits_of_pooling_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    (images, _), _ = digits_cnn.digits_split()
    extractor = load_extractor("digits-cnn")
    seen = extractor(images[:333])
    monkeypatch.setattr(digits_cnn, "halved", lambda x: F.avg_pool2d(x, 2))
    assert all(map(torch.equal, seen, extractor(images[:333])))
