"""PGGAN, stopped anywhere and resumed, leaves the bits of a run that was never stopped."""

import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from resuming import attempt, differences, left, stopped_and_resumed
from small_spec import content

from harness.plan.expand import expand
from harness.spec.load import validated

SHADOWS = {
    "lerp": {"interp_cfg": {"momentum": 0.1}, "interval": 2, "start_iter": 3},
    "warmup": {"interp_mode": "warmup", "interp_cfg": {}},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.1, "rampup": 0.05}},
    "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}, "interval": 3},
    "uniform": {"interp_mode": "uniform", "start_iter": 5},
}
WATCH = {
    "val_metric": "fid[digits-cnn]/raw",
    "interval": 2,
    "scheduler": {"patience": 0, "factor": 0.5, "threshold": 0.99, "cooldown": 1},
}
PICTURES = {
    "type": "VisualizationHook",
    "interval": 3,
    "vis_kwargs_list": {"type": "GAN", "name": "fake_img", "n_samples": 4},
    "fixed_input": True,
}
FIELDS = {
    "model__nkimgs_per_scale": {4: 0.08, 8: 0.12},
    "model__transition_kimgs": 0.06,
    "train__kimg": 0.2,
    "train__log_every_kimg": 0.04,
    "train__lr_per_scale": {4: 0.004, 8: 0.002},
    "train__reset_optimizer_per_scale": True,
    "data__max_images": 70,  # so that epochs end within scales
    "evaluate__every_kimg": 0.1,
    "evaluate__fake_images": 10,
    "observers": {
        "ema": SHADOWS,
        "posthoc": {"sigma_rel": [0.05, 0.1], "every_kimg": 0.02, "rebuild": [0.08]},
    },
    "hooks": [PICTURES],
    "seeds": [0],
}


def planned(**fields):
    return expand("test", "quick", validated(content(**(FIELDS | fields)))).runs[-1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, cache):
    run = planned()
    keeper, steps, _ = attempt(run, tmp_path_factory.mktemp("whole") / "run", cache)
    return run, left(keeper), steps


def test_what_is_compared_is_there_and_two_unbroken_runs_are_equal(unbroken, tmp_path, cache):
    run, found, steps = unbroken
    iterations = run.spec.growth.iterations(run.spec.total_images)
    assert iterations == 10
    assert steps == iterations + 2 * 6 + 1  # a batch of each arm, twice, and of the rebuilt one
    arms = {arm for quantity, arm, *_ in found["rows"] if quantity == "ema_error"}
    assert arms == {*SHADOWS, "posthoc0_ema", "posthoc1_ema"}
    names = " ".join(found)
    for part in ("final.npz", "fake_img_9.png", "network.bin", "sigma-0.05-images", "random"):
        assert part in names
    for part in ("film-000000005.npz", "film-000000010.npz", "neighbours.npz"):
        assert part in names
    keeper, _, _ = attempt(run, tmp_path / "run", cache)
    assert differences(found, left(keeper)) == []


# Ten iterations, an evaluation of six batches after the fifth and one of seven after the last.
TRAINING = (*range(1, 6), *range(12, 17))
EVALUATION = (6, 9, 11, 17, 20, 23)


def test_stopped_at_every_iteration(unbroken, tmp_path, cache):
    run, found, _ = unbroken
    ended = []
    for stop in TRAINING:
        keeper, at = stopped_and_resumed(run, tmp_path / f"at{stop}", cache, [stop])
        assert differences(found, left(keeper)) == [], f"stopped at iteration {at}"
        ended += at
    assert ended == [*range(10)]


@pytest.mark.parametrize("stop", EVALUATION[1::3])
def test_stopped_in_the_middle_of_an_evaluation(stop, unbroken, tmp_path, cache):
    run, found, _ = unbroken
    keeper, at = stopped_and_resumed(run, tmp_path / "run", cache, [stop])
    assert at == [5 if stop < 12 else 10]
    assert differences(found, left(keeper)) == []


def test_resumed_again_and_again(unbroken, tmp_path, cache):
    run, found, _ = unbroken
    stops = (1, 1, 2, 4, 3, 9, 2, 5)
    keeper, ended = stopped_and_resumed(run, tmp_path / "run", cache, stops)
    assert ended == [0, 0, 1, 4, 5, 7, 8, 10]
    assert differences(found, left(keeper)) == []


class GlobalDraws(Hook):
    """A network and a hook of others, which draw from every global stream, evaluation or not."""

    priority = "VERY_HIGH"

    def before_train(self, runner):
        runner.model.discriminator.register_forward_hook(self.disturbed)
        runner.model.generator.register_forward_hook(self.disturbed)

    @staticmethod
    def disturbed(network, inputs, images):
        return images * (1 + 0.1 * torch.rand_like(images))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        draw = np.random.standard_normal() + random.gauss(0, 1)
        with torch.no_grad():
            next(runner.model.generator.parameters()).add_(0.01 * draw)


@pytest.mark.parametrize("stop", [8, 14])
def test_what_draws_from_the_global_streams_goes_on_with_them(stop, tmp_path, cache):
    run = planned(observers={"ema": {"lerp": SHADOWS["lerp"]}}, hooks=[])
    random.seed(3)  # what a process does before is of no account
    whole, _, _ = attempt(run, tmp_path / "whole", cache, hooks=[GlobalDraws()])
    torch.manual_seed(7)
    again = {"hooks": lambda: [GlobalDraws()]}
    keeper, _ = stopped_and_resumed(run, tmp_path / "run", cache, [stop], **again)
    assert differences(left(whole), left(keeper)) == []
    plain, _, _ = attempt(run, tmp_path / "plain", cache)
    assert "weights" in differences(left(whole), left(plain))


@pytest.mark.parametrize("stop", [4, 9])
def test_a_rule_goes_on_counting_and_a_reduced_rate_stays(stop, tmp_path, cache):
    """Looks are at every second evaluation: stopped between two, after one, and with a cooldown."""
    run = planned(
        observers={"ema": {}},
        hooks=[],
        factors={"reduce_lr": {"off": None, "watch": WATCH}},
        train__lr_per_scale={},
        evaluate__every_kimg=0.02,
    )
    whole, _, _ = attempt(run, tmp_path / "whole", cache)
    found = left(whole)
    rates = [float(value) for quantity, _, value, *_ in found["rows"] if quantity == "train/lr"]
    assert len(set(rates)) > 2
    keeper, _ = stopped_and_resumed(run, tmp_path / "run", cache, [stop])
    assert differences(found, left(keeper)) == []
