"""harness reference export, and FID against what it wrote."""

import json

import numpy as np
import pytest
import scipy.linalg
import torch
from small_spec import TEXT, content, write
from tiny_gan import tiny_gan

from harness.cli import main
from harness.commands import job
from harness.engine.build import prepared
from harness.errors import DataError
from harness.images import to_uint8
from harness.metrics import digits_cnn
from harness.metrics.reference import extract
from harness.spec.load import validated

CPU = torch.device("cpu")
FID = "fid[digits-cnn]"


@pytest.fixture
def place(tmp_path, monkeypatch):
    write(tmp_path, TEXT.replace("metrics: [fid]", "metrics: [fid, is]"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "CACHE_DIR", tmp_path / "cache")
    return tmp_path


def export(*more):
    return main(["reference", "export", "question.yaml", "--tier", "quick", *more])


def evaluated(folder, **fields):
    spec = validated(content(evaluate__metrics=["fid", "is"], **fields))
    _, evaluator = prepared(spec, 0, CPU, folder / "cache")
    model = tiny_gan()
    model.images_shown = 30  # at 8 px
    return evaluator, evaluator.scores(model, model.generator)


def test_what_is_exported_gives_the_same_fid_here_and_elsewhere(place, capsys):
    assert export("real.npz") == 0
    assert capsys.readouterr().out == (
        "real.npz: mu and sigma of 1797 real images, 64 features of digits-cnn\n"
    )
    own, values = evaluated(place)
    against, given = evaluated(place, evaluate__reference="real.npz")
    assert given == values  # to the bit
    with np.load("real.npz", allow_pickle=False) as held:
        mu, sigma = held["mu"], held["sigma"]
        facts = json.loads(str(held["protocol"]))
    fake = statistics(own)
    root = scipy.linalg.sqrtm(fake[1] @ sigma)
    theirs = ((fake[0] - mu) ** 2).sum() + np.trace(fake[1] + sigma - 2 * root.real)
    assert theirs == pytest.approx(values[FID], rel=1e-6)
    assert facts["real_images"] == 1797
    assert facts["extractor_sha256"] == digits_cnn.SHA256
    assert facts["real_sha256"] == own.facts()[FID]["real_sha256"]
    assert against.facts()[FID]["reference_images"] == 1797


def statistics(evaluator):
    """Mean and covariance of the generated images' features, by numpy."""
    model = tiny_gan()
    model.images_shown = 30
    latents = evaluator.latents(model, "evaluation latents", evaluator.settings.fake_images)
    images = to_uint8(model.draw(model.generator, latents, {}))
    features = extract(images, evaluator.extractor).features.double().numpy()
    return features.mean(0), np.cov(features, rowvar=False)


def test_real_images_have_no_fid_of_their_own_beside_a_file(place):
    assert export("real.npz") == 0
    own, _ = evaluated(place)
    given, _ = evaluated(place, evaluate__reference="real.npz")
    assert set(own.real_values()) == {FID, "is[digits-cnn]"}
    assert set(given.real_values()) == {"is[digits-cnn]"}


def test_export_is_of_the_images_where_the_spec_names_a_file(place):
    assert export("real.npz") == 0
    assert export("again.npz", "evaluate.reference=real.npz") == 0
    assert (place / "again.npz").read_bytes() == (place / "real.npz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["real.npy"], "real.npy: is not *.npz"),
        (["there.npz"], "there.npz: is there already"),
        (["nowhere/real.npz", "data.max_images=9"], "at least 10 real images"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(place, capsys, arguments, said):
    (place / "there.npz").write_bytes(b"mine")
    assert export(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert (place / "there.npz").read_bytes() == b"mine"
    assert not (place / "real.npy").exists()


def test_a_run_is_refused_while_it_is_prepared_where_the_file_is_none(place):
    (place / "bad.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"^evaluate\.reference: bad\.npz: "):
        evaluated(place, evaluate__reference="bad.npz")
