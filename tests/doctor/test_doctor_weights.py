"""Each check of weights, on files that are missing, cut off, or other ones."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from doctored import states
from small_spec import spec

from harness.doctor import State, weights
from harness.metrics import digits_cnn, random_conv
from harness.spec.measuring import Lpips


def test_inceptions_weights_may_be_missing_but_not_be_others(tmp_path):
    path = tmp_path / "weights.pth"
    states(weights.inception(path), State.NOTE, "not here", "HARNESS_INCEPTION_WEIGHTS")
    path.write_bytes(b"weights")
    states(weights.inception(path), State.WARNING, "has sha256", "expected 6726825d0af5")
    states(weights.inception(path, hashlib.sha256(b"weights").hexdigest()), State.OK, "weights.pth")
    states(weights.inception(tmp_path), State.WARNING, "cannot be read")


@pytest.fixture
def shipped(tmp_path):
    for suffix in (".safetensors", ".json"):
        shutil.copy(digits_cnn.WEIGHTS.with_suffix(suffix), tmp_path)
    return tmp_path / digits_cnn.WEIGHTS.name


def test_the_shipped_weights_load_and_are_those_of_their_card(shipped):
    states(weights.digits_cnn(shipped), State.OK, "99.2% of held-out digits right")


def test_shipped_weights_that_are_cut_off_or_gone_are_a_problem(shipped):
    shipped.write_bytes(shipped.read_bytes()[:-1])
    states(weights.digits_cnn(shipped), State.PROBLEM, "have sha256")
    shipped.unlink()
    states(weights.digits_cnn(shipped), State.PROBLEM, "cannot read weights")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": 3}', None])
def test_a_card_of_other_weights_or_none_is_a_problem(shipped, text):
    card = shipped.with_suffix(".json")
    if text is None:
        card.unlink()
    else:
        card.write_text(text)
    states(weights.digits_cnn(shipped), State.PROBLEM, "digits-cnn.json")


def test_a_card_without_its_figure_is_a_problem(shipped):
    card = shipped.with_suffix(".json")
    card.write_text(json.dumps({"sha256": digits_cnn.SHA256}))
    states(weights.digits_cnn(shipped), State.PROBLEM, "cannot be read")
    card.write_text(json.dumps({"sha256": "0" * 64, "accuracy": {"held_out": 0.9}}))
    states(weights.digits_cnn(shipped), State.PROBLEM, "is of other weights")


def test_random_filters_are_those_of_published_numbers_to_the_bit():
    kernels = random_conv.weights()
    states(weights.random_conv(kernels), State.OK, "aa063c60714f")
    kernels[1].view(-1)[7] = torch.nextafter(kernels[1].view(-1)[7], torch.tensor(9.0))
    states(weights.random_conv(kernels), State.PROBLEM, "expected aa063c60714f")


def test_the_extractor_of_a_spec_is_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_INCEPTION_WEIGHTS", str(tmp_path / "nowhere.pth"))
    states(weights.extractor(spec().evaluate), State.OK, "digits-cnn loads")
    asked = spec(evaluate__extractor="inception-v3-compat", evaluate__metrics=["is"]).evaluate
    states(weights.extractor(asked), State.PROBLEM, "nowhere.pth (No such file or directory)")
    (tmp_path / "nowhere.pth").write_bytes(b"others")
    digest = hashlib.sha256(b"others").hexdigest()[:12]
    states(weights.extractor(asked), State.PROBLEM, f"have sha256 {digest}, expected 6726825d0af5:")


def test_lpips_files_are_needed_and_held_against_the_network(tmp_path):
    files = Lpips(
        weights=str(tmp_path / "a.pth"), vgg16_weights=str(tmp_path / "vgg16-397923af.pth")
    )
    states(weights.lpips(files), State.PROBLEM, "cannot read weights")
    for name in (files.weights, files.vgg16_weights):
        torch.save({"other": torch.zeros(1)}, name)
    states(weights.lpips(files), State.PROBLEM, "not the weights of lpips-vgg16")


def test_lpips_weights_under_another_files_name_are_warned_of(tmp_path):
    linear, vgg16 = lpips_state()
    named = tmp_path / "vgg16-397923af.pth"
    torch.save(linear, tmp_path / "linear.pth")
    torch.save(vgg16, named)
    files = Lpips(weights=str(tmp_path / "linear.pth"), vgg16_weights=str(named))
    states(weights.lpips(files), State.WARNING, "which its name denies")
    renamed = named.rename(tmp_path / "vgg16.pth")
    files = Lpips(weights=files.weights, vgg16_weights=str(renamed))
    states(weights.lpips(files), State.OK, "two files load")


def lpips_state():
    """Weights of the right shapes, all zero."""
    from torchvision.models.vgg import cfgs, make_layers

    with torch.device("meta"):
        shapes = make_layers(cfgs["D"]).state_dict()
    vgg16 = {f"features.{name}": torch.zeros(value.shape) for name, value in shapes.items()}
    widths = (64, 128, 256, 512, 512)
    linear = {
        f"lin{i}.model.1.weight": torch.zeros(1, width, 1, 1) for i, width in enumerate(widths)
    }
    return linear, vgg16


def test_statistics_for_fid_are_read_as_a_run_reads_them(tmp_path):
    path = tmp_path / "real.npz"
    asked = spec(evaluate__reference=str(path)).evaluate
    states(weights.reference(asked), State.PROBLEM, "cannot be read")
    np.savez(path, mu=np.zeros(64), sigma=np.eye(64))
    states(weights.reference(asked), State.OK, "real.npz, sha256 ")
    np.savez(path, mu=np.zeros(2048), sigma=np.eye(2048))
    states(weights.reference(asked), State.PROBLEM, "digits-cnn has 64 features")
