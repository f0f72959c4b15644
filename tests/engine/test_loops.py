"""ImagesTrainLoop and EvaluationLoop on a real Runner."""

import pytest
from mmengine.hooks import Hook
from tiny_gan import GROWTH, Batches, gan_settings, tiny_gan

from harness.hooks import PGGANFetchDataHook


class Calls:
    """Measures the images shown, and notes when it was asked."""

    def __init__(self):
        self.seen = []

    def evaluate(self, model, iteration):
        self.seen.append((model.images_shown, iteration))
        return {"shown/raw": float(model.images_shown)}


class Heard(Hook):
    """Notes every call of a loop."""

    def __init__(self):
        self.calls, self.metrics = [], []

    def before_train(self, runner):
        self.calls.append("before_train")

    def before_val(self, runner):
        self.calls.append("before_val")

    def before_val_epoch(self, runner):
        self.calls.append("before_val_epoch")

    def after_val_epoch(self, runner, metrics=None):
        self.calls.append("after_val_epoch")
        self.metrics.append(metrics)

    def after_val(self, runner):
        self.calls.append("after_val")

    def after_train(self, runner):
        self.calls.append("after_train")


def run(make_runner, total, eval_images, *hooks, first=None):
    calls = Calls()
    settings = gan_settings(tiny_gan(), total, eval_images=eval_images, evaluator=calls)
    settings["train_cfg"]["first_eval_images"] = first
    runner = make_runner([PGGANFetchDataHook(), *hooks], **settings)
    returned = runner.train()
    assert returned is runner.model
    return runner, calls.seen


@pytest.mark.parametrize("total", [4, 15, 16, 41, 42])
def test_training_ends_with_the_first_batch_that_reaches_the_total(make_runner, total):
    runner, seen = run(make_runner, total, 10**6)
    assert runner.model.images_shown in (total, total + 1)
    assert runner.iter == GROWTH.iterations(total) == runner.max_iters
    assert seen == [(runner.model.images_shown, runner.iter)]


def test_evaluations_take_place_at_multiples_of_images_and_at_the_end(make_runner):
    _, seen = run(make_runner, 50, 10)
    assert seen == [(12, 3), (20, 5), (32, 8), (40, 10), (50, 15)]


@pytest.mark.parametrize("first", [1, 4])
def test_a_first_evaluation_may_come_ahead_of_the_regular_ones(make_runner, first):
    _, seen = run(make_runner, 50, 20, first=first)
    assert seen == [(4, 1), (20, 5), (40, 10), (50, 15)]


def test_a_first_evaluation_that_is_a_regular_one_takes_place_once(make_runner):
    _, seen = run(make_runner, 25, 20, first=18)
    assert seen == [(20, 5), (28, 7)]


def test_a_batch_larger_than_the_interval_is_evaluated_once(make_runner):
    _, seen = run(make_runner, 12, 1)
    assert seen == [(4, 1), (8, 2), (12, 3)]


def test_hooks_hear_of_evaluations_within_training(make_runner):
    heard = Heard()
    run(make_runner, 8, 4, heard)
    one = ["before_val", "before_val_epoch", "after_val_epoch", "after_val"]
    assert heard.calls == ["before_train", *one, *one, "after_train"]
    assert heard.metrics == [{"shown/raw": 4.0}, {"shown/raw": 8.0}]


def test_l1_val_returns_the_metrics(make_runner):
    settings = gan_settings(tiny_gan(), 8, evaluator=Calls())
    assert make_runner([], **settings).val() == {"shown/raw": 0.0}


def test_the_same_images_are_shown_whatever_the_evaluations(make_runner):
    shown = []
    for eval_images in (4, 10**6):
        batches = Batches()
        run(make_runner, 24, eval_images, batches)
        shown.append([batch[:, 0, 0, 0].tolist() for _, batch in batches.seen])
    assert shown[0] == shown[1]
