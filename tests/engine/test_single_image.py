"""A run on one image, measured: the same samples for every arm, at the final size throughout."""

import copy

import numpy as np
import pytest
import torch
from tiny_singan import CPU, singan_run, singan_spec

from harness.data.photograph import prepare
from harness.engine.build import prepared
from harness.engine.families import gan
from harness.engine.single_image import SingleImageEvaluator, enlarged
from harness.engine.weights import trained
from harness.errors import DataError, Diverged, SpecError
from harness.images import to_uint8
from harness.metrics.diversity import Diversity
from harness.metrics.sifid import LocalReference, sifid

NAMES = ("sifid[random-conv-64]", "sifid_low[random-conv-64]", "sifid_high[random-conv-64]")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return singan_run(tmp_path_factory.mktemp("singan"))


@pytest.fixture
def model(finished):
    """The trained model with a copy of its generator, and a shadow that differs."""
    _, model = trained(finished[1].path, CPU)
    model.copy_ema = copy.deepcopy(model.generator)
    return model


@pytest.fixture
def evaluator():
    spec = singan_spec()
    arms = {"raw": "orig", "copy": "copy_ema", "m0.5": "shadow_m0_d5_ema"}
    real = prepare("shipped:coffee", spec.pyramid)
    return SingleImageEvaluator(spec.evaluate, real, arms, 0, CPU)


def test_a_run_records_every_quantity_of_every_arm_at_each_evaluation(finished):
    run, folder = finished
    scales = len(run.spec.growth.scales)
    assert scales >= 3
    rows = folder.rows()
    for arm in ("raw", "m0.5"):
        for name in (*NAMES, "diversity"):
            values = [row.value for row in rows if (row.quantity, row.arm) == (name, arm)]
            assert len(values) == scales
            assert np.isfinite(values).all()
    assert {"loss/d", "loss/g", "loss/penalty", "loss/recon"} <= {row.quantity for row in rows}
    by_name = {row.quantity: row.value for row in rows if row.arm == "raw"}
    assert by_name[NAMES[1]] <= by_name[NAMES[0]] <= by_name[NAMES[2]]


def test_a_run_keeps_its_image_and_samples_of_its_shape(finished):
    run, folder = finished
    height, width = run.spec.pyramid.sizes[-1]
    assert height != width
    with np.load(folder.path / "samples" / "final.npz") as file:
        shapes = {name: file[name].shape for name in file.files}
    assert shapes["real"] == (1, height, width, 3)
    assert shapes["raw"] == shapes["m0.5"] == (16, height, width, 3)


def test_values_are_those_of_the_definition(model, evaluator):
    """Drawn, enlarged, extracted and compared once more, by hand."""
    values = evaluator.evaluate(model, 1)
    latents = evaluator.latents(model, "evaluation latents", 5)
    with torch.no_grad():
        images = to_uint8(model.draw(model.generator, latents))
    real = evaluator.real
    reference = LocalReference.of(evaluator.extractor.local(real)[0])
    scores = [sifid(local, reference) for local in evaluator.extractor.local(images)]
    assert values[f"{NAMES[0]}/raw"] == pytest.approx(np.median(scores), rel=1e-6)
    assert values[f"{NAMES[1]}/raw"] == pytest.approx(np.quantile(scores, 0.25), rel=1e-6)
    diversity = Diversity(real)
    diversity.update(images)
    assert values["diversity/raw"] == diversity.compute() > 0


def test_a_shadow_equal_to_raw_scores_the_same_and_another_does_not(model, evaluator):
    values = evaluator.evaluate(model, 1)
    assert values[f"{NAMES[0]}/raw"] == values[f"{NAMES[0]}/copy"]
    assert values[f"{NAMES[0]}/raw"] != values[f"{NAMES[0]}/m0.5"]


def test_samples_are_the_same_whatever_the_batches(model, evaluator):
    singly = evaluator.settings.model_copy(update={"batch_size": 1})
    once = evaluator.samples(model, 3)
    evaluator.settings = singly
    again = evaluator.samples(model, 3)
    assert once.keys() == {"raw", "copy", "m0.5"}
    for arm in once:
        assert np.abs(once[arm].astype(int) - again[arm]).max() <= 1


def test_at_a_coarser_scale_samples_are_enlarged_to_the_final_size(model, evaluator):
    noises = model.fixed_noises
    model.fixed_noises = noises[:2]
    drawn = model.draw(model.generator, torch.tensor([3]))
    assert drawn.shape[2:] == noises[1].shape[2:] != evaluator.real.shape[2:]
    assert evaluator.samples(model, 2)["raw"].shape == (2, *evaluator.real.shape[2:], 3)
    assert np.isfinite(evaluator.evaluate(model, 1)["diversity/raw"])


def test_enlarging_moves_nothing():
    """A ramp stays the same ramp: pixel centres at halves."""
    ramp = ((torch.arange(8) + 0.5) / 8).expand(1, 1, 8, 8)
    large = enlarged(ramp, torch.Size((8, 32)))
    expected = (torch.arange(32) + 0.5) / 32
    torch.testing.assert_close(large[0, 0, 4, 8:-8], expected[8:-8], atol=0.006, rtol=0)


def test_evaluating_moves_no_stream_and_no_mode(model, evaluator):
    before = torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    evaluator.evaluate(model, 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes


def test_an_image_that_is_not_finite_ends_the_run(model, evaluator):
    with torch.no_grad():
        model.generator.blocks[-1].tail.conv.bias.fill_(torch.nan)
    with pytest.raises(Diverged):
        evaluator.evaluate(model, 7)


def test_only_what_is_asked_for_is_measured(model):
    spec = singan_spec(evaluate__metrics=["diversity"])
    real = prepare("shipped:coffee", spec.pyramid)
    evaluator = SingleImageEvaluator(spec.evaluate, real, {"raw": "orig"}, 0, CPU)
    assert evaluator.evaluate(model, 1).keys() == {"diversity/raw"}
    assert evaluator.real_values() == {}


def test_what_cannot_be_measured_is_refused_before_training(tmp_path):
    from PIL import Image

    path = tmp_path / "flat.png"
    Image.new("RGB", (60, 40), "teal").save(path)
    with pytest.raises(DataError, match="one intensity only"):
        prepared(singan_spec(data__root=str(path)), 0, CPU, tmp_path)
    small = singan_spec(model__min_size=8, model__max_size=24)
    with pytest.raises(DataError, match="at least 17 x 17 px, got 24 x 16"):
        prepared(small, 0, CPU, tmp_path)
    with pytest.raises(SpecError, match="digits-cnn"):
        singan_spec(evaluate__extractor="digits-cnn")


def test_a_spec_builds_as_many_scales_as_the_image_has():
    spec = singan_spec()
    assert len(gan(spec, 0).generator.blocks) == len(spec.pyramid.sizes)
