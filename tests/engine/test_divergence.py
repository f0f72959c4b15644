"""NaN and infinity end a run with their iteration, soon, and without a wait at each step."""

import json
import math
import re

import pytest
import torch
from reads import Reads
from resuming import CPU, AtIteration, attempt, found, handlers_kept
from small_spec import content
from tiny_singan import singan_spec

from harness.engine import checkpoints
from harness.engine.build import prepared
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.families import gan
from harness.errors import Diverged
from harness.files.pickles import in_parts
from harness.interrupts import Interrupts
from harness.launch.worker import Machine, Told, ended, outcome_of
from harness.metrics.extractor import Features
from harness.metrics.perceptual import FeatureDistance
from harness.plan.expand import expand
from harness.plan.keeping import Keeping
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Status
from harness.spec.load import validated

LONG = {
    "model__nkimgs_per_scale": {4: 0.3, 8: 0.3},
    "model__transition_kimgs": 0.1,
    "train__kimg": 0.6,
    "train__batch_size": 4,
    "train__log_every_kimg": 5,
    "evaluate__every_kimg": 0.6,
    "evaluate__fake_images": 10,
    "seeds": [0],
}
STYLEGAN2 = {
    "model": {
        "type": "StyleGAN2",
        "noise_size": 8,
        "out_scale": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
    },
    "train__loss": {"type": "logistic"},
    "train__augment": {"type": "ada", "initial_p": 0.5, "adjust_kimg": 0.3},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def planned(**fields):
    return expand("test", "quick", validated(content(**(LONG | fields)))).runs[0]


@pytest.mark.parametrize(("value", "first"), [(math.nan, 1), (-math.inf, 65)])
def test_a_loss_is_looked_at_at_least_every_64_iterations(value, first, tmp_path, cache):
    ends = []

    def spoil(runner, outputs):
        outputs["loss_g"].fill_(value)

    watch = [AtIteration(i, lambda runner, _: ends.append(runner.iter + 1)) for i in range(150)]
    with pytest.raises(Diverged) as error:
        attempt(planned(), tmp_path, cache, hooks=[AtIteration(first, spoil), *watch])
    assert error.value.iteration == first
    assert ends[-1] == 64 * math.ceil(first / 64)
    assert str(error.value).startswith(f"a loss was NaN or infinite at iteration {first}: ")


def reads_of(run, path, cache, iterations=70):
    """Return after which iterations, or in the middle of the next, numbers were read."""
    reads = Reads()

    def note(runner, _):
        reads.iteration = runner.iter + 1
        if reads.iteration == iterations:
            raise KeyboardInterrupt

    with reads:
        attempt(run, path, cache, hooks=[AtIteration(i, note) for i in range(1, iterations + 1)])
    return {at for at in reads.found if 0 < at < iterations}


CERTIFICATE = {1, 2, 66}
"""Where a shadow that averages from the beginning is compared; losses are looked at after 64."""


def test_nothing_is_read_between_two_looks(tmp_path, cache):
    assert reads_of(planned(observers={"ema": {}}), tmp_path / "bare", cache) == {64}
    assert reads_of(planned(), tmp_path / "shadow", cache) == CERTIFICATE | {64}


def test_ada_reads_its_signs_where_it_adjusts_p_and_nothing_more(tmp_path, cache):
    found_at = reads_of(planned(**STYLEGAN2), tmp_path / "run", cache, 20)
    assert found_at == {1, 2} | {3, 7, 11, 15, 19}  # in the middle of every fourth


class Seen:
    """An extractor that sees NaN in one feature of the ``at``-th batch that it looks at."""

    def __init__(self, extractor, at=1):
        self._extractor = extractor
        self._left = at

    def __getattr__(self, name):
        return getattr(self._extractor, name)

    def __call__(self, images):
        features, logits = (values.clone() for values in self._extractor(images))
        return Features(self._spoiled(features), logits)

    def look(self, images):
        features, logits = self._extractor.look(images)
        return Features(self._spoiled(features.clone()), logits)

    def local(self, images):
        return self._spoiled(self._extractor.local(images).clone())

    def _spoiled(self, values):
        self._left -= 1
        if self._left == 0:
            values[(0,) * values.ndim] = math.nan
        return values


def evaluated(spec, folder, spoil):
    _, evaluator = prepared(spec, 0, CPU, folder)
    spoil(evaluator)
    model = gan(spec, 0)
    if spec.model.type == "SinGAN":
        model.fixed_noises = [torch.zeros(1, 1, *spec.pyramid.sizes[0])]
        model.noise_weights = [1.0]
    evaluator.arms = {"raw": "orig"}
    return evaluator.evaluate(model, 12)


def blind(evaluator):
    evaluator.extractor = Seen(evaluator.extractor)


SCORES = ("fid", "is", "kid", "precision", "recall", "density", "coverage")


@pytest.mark.parametrize("metric", SCORES)
def test_a_feature_that_is_not_finite_ends_the_run_whatever_is_measured(metric, cache):
    fields = {"evaluate__metrics": [metric], "evaluate__fake_images": 300}
    spec = planned(**fields, evaluate__kid_subset_size=10).spec
    assert all(map(math.isfinite, evaluated(spec, cache, lambda evaluator: None).values()))
    with pytest.raises(Diverged, match="a feature of an image was NaN or infinite at iteration 12"):
        evaluated(spec, cache, blind)


@pytest.mark.parametrize("metric", ["fid", "ppl_z"])
@pytest.mark.parametrize("at", [0, 2])
def test_one_image_of_any_batch_that_is_not_finite_ends_the_run(at, metric, cache, monkeypatch):
    fields = {"evaluate__metrics": [metric], "evaluate__batch_size": 4, "evaluate__ppl_pairs": 6}
    spec = planned(**fields).spec
    _, evaluator = prepared(spec, 0, CPU, cache)
    evaluator.arms = {"raw": "orig"}
    model, batches = gan(spec, 0), []
    draw = model.draw

    def spoiled(*arguments):
        images = draw(*arguments)
        batches.append(len(images))
        if len(batches) - 1 == at:
            images[1, 2, 0, 0] = math.inf
        return images

    monkeypatch.setattr(model, "draw", spoiled)
    with pytest.raises(Diverged, match=r"^a generated image was NaN or infinite at iteration 12"):
        evaluator.evaluate(model, 12)
    assert len(batches) == 3  # it is seen at the end
    assert evaluator.evaluate(model, 13)  # and forgotten


def test_a_feature_of_one_image_that_is_not_finite_ends_the_run(cache):
    spec = singan_spec(evaluate__metrics=["sifid"])
    assert all(map(math.isfinite, evaluated(spec, cache, lambda evaluator: None).values()))
    with pytest.raises(Diverged, match="a feature of an image was NaN or infinite at iteration 12"):
        evaluated(spec, cache, blind)


def test_a_step_of_a_path_that_is_not_finite_ends_the_run(cache):
    spec = planned(evaluate__metrics=["ppl_z"], evaluate__ppl_pairs=8).spec

    def spoil(evaluator):
        evaluator.paths.distance = FeatureDistance(Seen(evaluator.extractor))

    assert all(map(math.isfinite, evaluated(spec, cache, lambda evaluator: None).values()))
    with pytest.raises(Diverged, match="a step of a path was NaN or infinite at iteration 12"):
        evaluated(spec, cache, spoil)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_metric_that_is_not_finite_ends_the_run_by_its_name(value, cache):
    class Broken(ArmsEvaluator):
        def scores(self, model, network, fresh=0):
            return super().scores(model, network, fresh) | {"swd": value}

    spec = planned().spec
    real, _ = prepared(spec, 0, CPU, cache)
    evaluator = Broken(spec.evaluate, real, {"raw": "orig"}, 0, CPU, cache / "reference")
    with pytest.raises(Diverged, match=r"^swd was NaN or infinite at iteration 3: "):
        evaluator.evaluate(gan(spec, 0), 3)


def test_a_diverged_run_says_when_and_of_what_and_keeps_its_last_sound_checkpoint(tmp_path, cache):
    """Its rate explodes where the second scale begins, after ten iterations."""
    run = planned(
        model__nkimgs_per_scale={4: 0.04, 8: 0.4},
        train__lr_per_scale={4: 0.004, 8: 1e25},
        observers={"ema": {}},
    )
    folder = RunFolder(tmp_path / "run")
    machine = Machine("cpu", 1, 1, cache, Keeping(every_sec=0.0))
    assert not ended(folder.path)
    with handlers_kept():
        outcome = outcome_of(run, folder, machine, Interrupts(), Told())
    folder.end(outcome)
    assert (outcome.status, outcome.iteration) == (Status.DIVERGED, 11)
    assert re.search("was NaN or infinite at iteration 11: ", outcome.reason)
    assert found(folder.path) == [10, 9]
    _, state = next(checkpoints.sound(folder.path / CHECKPOINTS))
    assert all(value.isfinite().all() for value in in_parts(state)[0].values())
    assert ended(folder.path)  # so that it is not trained again
    again = json.loads((folder.path / "outcome.json").read_text())
    assert (again["status"], again["iteration"]) == ("diverged", 11)
