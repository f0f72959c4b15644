"""A run's weights: everything that drawing needs comes back, and nothing else is taken."""

import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_singan import CPU, singan_run

from harness.data.photograph import read
from harness.engine.weights import FILE, attribute, networks_of, packed, trained
from harness.errors import RecordsError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on a user's own image, which is gone afterwards."""
    folder = tmp_path_factory.mktemp("singan")
    path = folder / "my.png"
    Image.fromarray(read("shipped:coffee")).save(path)
    run, records = singan_run(folder / "run", data__root=str(path))
    path.unlink()
    return run, records.path


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "run")
    return tmp_path / "run"


def test_a_model_comes_back_whole_without_its_image(finished):
    _, path = finished
    spec, model = trained(path, CPU)
    assert model.images_shown == 15 * len(model.fixed_noises)
    assert [*networks_of(spec).values()] == [*model.networks()] == ["orig", "shadow_m0_d5_ema"]
    assert model.noise_weights[0] == 1
    assert all(weight > 0 for weight in model.noise_weights[1:])
    assert packed(model) == (path / FILE).read_bytes()


def test_drawing_gives_what_the_run_drew(finished):
    """The samples that the run kept are drawn again, from the file alone."""
    import numpy as np

    from harness.images import to_uint8
    from harness.seeding import generator

    _, path = finished
    _, model = trained(path, CPU)
    latents = model.latents(16, generator(0, "sample latents", model.images_shown))
    with np.load(path / "samples" / "final.npz") as file:
        for arm, name in (("raw", "orig"), ("m0.5", "shadow_m0_d5_ema")):
            images = to_uint8(model.draw(model.network(name), latents)).permute(0, 2, 3, 1)
            assert np.abs(images.numpy().astype(int) - file[arm]).max() <= 1


def test_the_file_is_plain_tensors_and_text(finished):
    path = finished[1] / FILE
    tensors = load_file(path)
    assert all(tensor.ndim <= 4 for tensor in tensors.values())
    assert tensors["_extra_state.fixed_noises.0"].shape[:2] == (1, 1)


def test_names_of_shadows_never_meet():
    names = ["a.b", "a_b", "a-b", "a_db", "a__b"]
    assert len({attribute(name) for name in names}) == len(names)
    assert not any("." in attribute(name) for name in names)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / FILE).unlink(), "is missing: name the folder of a finished run"),
        (lambda path: (path / "spec.yaml").unlink(), "No such file .*; name the folder of a run"),
        (lambda path: (path / "spec.yaml").write_text("a: 1"), "is not the spec of one run"),
        (
            lambda path: (path / FILE).write_bytes((path / FILE).read_bytes()[:-100]),
            "is not a whole file of weights",
        ),
        (lambda path: save_file({"x": torch.ones(1)}, path / FILE), "is not a whole file"),
    ],
)
def test_what_is_no_finished_run_is_refused_in_one_line(copied, spoil, message):
    spoil(copied)
    with pytest.raises(RecordsError, match=message) as caught:
        trained(copied, CPU)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(copied):
    text = (copied / "spec.yaml").read_text()
    (copied / "spec.yaml").write_text(text.replace("base_channels: 4", "base_channels: 8"))
    with pytest.raises(RecordsError, match=r"do not fit: .*size mismatch"):
        trained(copied, CPU)
