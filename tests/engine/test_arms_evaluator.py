"""ArmsEvaluator: every arm on the same latents, whatever the batches."""

import copy
import math

import pytest
import torch
from drawn import styled_gan
from tiny_gan import NOISE_SIZE, SMALL
from tiny_stylegan2 import tiny_stylegan2

from harness.data import DataSource
from harness.data.prepare import prepare
from harness.engine.evaluation import ArmsEvaluator
from harness.errors import Diverged
from harness.gans.growing import ProgressiveGrowingGAN
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.spec.growth import GrowthSchedule
from harness.spec.schema import Evaluate

CPU = torch.device("cpu")
ARMS = {"raw": "orig", "copy": "copy_ema", "other": "other_ema"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def real(cache):
    source = DataSource(type="digits", resolution=8, max_images=600)
    return prepare(source, (4, 8), cache / "data")


def evaluator(real, cache, arms=ARMS, seed=0, **settings):
    usual = {
        "every_kimg": 1,
        "extractor": "digits-cnn",
        "fake_images": 60,
        "metrics": ("fid", "is", "kid"),
        "kid_subsets": 3,
        "kid_subset_size": 40,
    }
    return ArmsEvaluator(Evaluate(**(usual | settings)), real, arms, seed, CPU, cache / "reference")


@pytest.fixture
def gan():
    """A GAN for 8 px with a shadow equal to its generator and one that differs."""
    growth = GrowthSchedule((4, 8), (16, 80), 16, (4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = PGGANGenerator(NOISE_SIZE, 8, **SMALL), PGGANDiscriminator(8, **SMALL)
    gan = ProgressiveGrowingGAN(*networks, growth, seed=0)
    gan.copy_ema = copy.deepcopy(gan.generator)
    gan.other_ema = copy.deepcopy(gan.generator)
    with torch.no_grad():
        for parameter in gan.other_ema.parameters():
            parameter.add_(0.3)
    return gan


def test_a_shadow_equal_to_raw_has_equal_scores_and_another_has_not(gan, real, cache):
    values = evaluator(real, cache).evaluate(gan, 1)
    names = ("fid[digits-cnn]", "is[digits-cnn]", "kid[digits-cnn]")
    assert set(values) == {f"{name}/{arm}" for name in names for arm in ARMS}
    for name in names:
        assert values[f"{name}/raw"] == values[f"{name}/copy"]
        assert values[f"{name}/raw"] != values[f"{name}/other"]


@pytest.mark.parametrize("shown", [0, 20, 40])  # at 4 px, in a fade, at 8 px
def test_values_do_not_depend_on_the_size_of_batches(gan, real, cache, shown):
    gan.images_shown = shown
    values = [evaluator(real, cache, batch_size=size).evaluate(gan, 1) for size in (60, 7, 500)]
    assert values[0] == values[1] == values[2]


EVERY = ("fid", "precision", "ppl_z", "is", "recall", "density", "coverage")


def test_each_image_is_looked_at_once_whatever_is_measured(gan, real, cache):
    measured = evaluator(real, cache, {"raw": "orig"}, metrics=EVERY, ppl_pairs=30)
    looked = []
    look = measured.extractor

    class Counting:
        name, digest, device = look.name, look.digest, look.device
        num_features, num_classes = look.num_features, look.num_classes

        def __call__(self, images):
            looked.append(len(images))
            return look(images)

    measured.extractor = Counting()
    values = measured.evaluate(gan, 1)
    assert looked == [60]
    assert list(values) == [f"{name}[digits-cnn]/raw" for name in EVERY]


def test_metrics_beside_it_leave_a_metric_to_the_bit_as_it_was(gan, real, cache):
    alone = evaluator(real, cache).evaluate(gan, 1)
    together = evaluator(real, cache, metrics=(*EVERY, "kid"), ppl_pairs=30).evaluate(gan, 1)
    assert alone == {name: together[name] for name in alone}
    paths = evaluator(real, cache, metrics=("ppl_z",), ppl_pairs=30).evaluate(gan, 1)
    assert paths == {name: together[name] for name in paths}
    assert len(paths) == len(ARMS)


def test_truncation_reaches_the_generator_and_the_names(real, cache):
    gan = styled_gan()
    gan.images_shown = 16
    arms = {"raw": "orig"}
    metrics = {"metrics": ("fid", "ppl_w"), "ppl_pairs": 30}
    plain = evaluator(real, cache, arms, **metrics).evaluate(gan, 1)
    same = evaluator(real, cache, arms, truncation=1.0, **metrics).evaluate(gan, 1)
    half = evaluator(real, cache, arms, truncation=0.5, **metrics)
    assert plain == same
    values = half.evaluate(gan, 1)
    assert list(values) == ["fid[digits-cnn;truncation=0.5]/raw", "ppl_w[digits-cnn]/raw"]
    assert list(half.real_values()) == ["fid[digits-cnn;truncation=0.5]"]
    assert values["ppl_w[digits-cnn]/raw"] == plain["ppl_w[digits-cnn]/raw"]
    assert values["fid[digits-cnn;truncation=0.5]/raw"] != plain["fid[digits-cnn]/raw"]
    assert (
        half.samples(gan, 3)["raw"] != evaluator(real, cache, arms).samples(gan, 3)["raw"]
    ).any()


def test_a_truncated_stylegan2_is_less_diverse(real, cache):
    gan = tiny_stylegan2()
    settings = {"metrics": ("fid", "ppl_w"), "ppl_pairs": 20}
    arms = {"raw": "orig"}
    spread = []
    for truncation in (None, 0.5, 0.0):
        measured = evaluator(real, cache, arms, truncation=truncation, **settings)
        spread.append(measured.samples(gan, 40)["raw"].astype(float).std(axis=0).mean())
        assert len(measured.evaluate(gan, 1)) == 2
    assert spread[0] > spread[1] > spread[2]


def test_an_arm_has_the_same_values_whatever_the_others_are(gan, real, cache):
    alone = evaluator(real, cache, {"other": "other_ema"}).evaluate(gan, 1)
    together = evaluator(real, cache).evaluate(gan, 1)
    assert alone == {name: together[name] for name in alone}


def test_evaluating_draws_nothing_from_the_global_stream_and_changes_nothing(gan, real, cache):
    before, state = copy.deepcopy(gan.state_dict()), torch.get_rng_state()
    first = evaluator(real, cache).evaluate(gan, 1)
    torch.manual_seed(9)
    assert evaluator(real, cache).evaluate(gan, 1) == first
    torch.set_rng_state(state)
    assert all(
        torch.equal(value, before[name])
        for name, value in gan.state_dict().items()
        if torch.is_tensor(value)
    )


def test_latents_are_a_function_of_seed_purpose_and_images_shown(gan, real, cache):
    def latents(seed=0, purpose="evaluation latents", shown=0):
        gan.images_shown = shown
        return evaluator(real, cache, seed=seed).latents(gan, purpose, 5)

    assert latents().shape == (5, NOISE_SIZE)
    assert torch.equal(latents(), latents())
    for other in ({"seed": 1}, {"purpose": "sample latents"}, {"shown": 4}):
        assert not torch.equal(latents(), latents(**other))


def test_samples_of_equal_arms_are_equal(gan, real, cache):
    samples = evaluator(real, cache).samples(gan, 3)
    assert list(samples) == list(ARMS)
    assert samples["raw"].shape == (3, 8, 8, 3)  # at the final size, whatever the scale
    assert samples["raw"].dtype == "uint8"
    assert (samples["raw"] == samples["copy"]).all()
    assert (samples["raw"] != samples["other"]).any()


def test_real_images_are_scored_by_what_is_measured_on_features(real, cache):
    values = evaluator(real, cache).real_values()
    assert list(values) == ["fid[digits-cnn]", "is[digits-cnn]"]
    assert 0 < values["fid[digits-cnn]"] < 200
    assert 1 < values["is[digits-cnn]"] <= 10
    assert list(evaluator(real, cache, metrics=("is",)).real_values()) == ["is[digits-cnn]"]


def test_real_images_are_better_than_an_untrained_network(gan, real, cache):
    measured = evaluator(real, cache)
    gan.images_shown = 40
    floor = measured.real_values()["fid[digits-cnn]"]
    assert floor < measured.evaluate(gan, 1)["fid[digits-cnn]/raw"]


@pytest.mark.parametrize("arm", ["generator", "other_ema"])
def test_images_that_are_not_finite_end_the_run(gan, real, cache, arm):
    with torch.no_grad():
        next(getattr(gan, arm).parameters()).fill_(math.nan)
    with pytest.raises(Diverged) as error:
        evaluator(real, cache).evaluate(gan, 7)
    assert error.value.iteration == 7
