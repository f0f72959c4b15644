"""ReduceLRSchedulerHook on a real Runner; R-numbers are the faults it must not have."""

import json
import math

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook, ParamSchedulerHook
from mmengine.logging import MessageHub
from mmengine.optim import LinearLR, OptimWrapper
from tiny import VECTORS, Numbers, TinyModel
from torch.utils.data import DataLoader

from harness.engine.loops import EvaluationLoop
from harness.engine.schedulers import ReduceLR
from harness.hooks import ReduceLRSchedulerHook

CASES = json.loads((VECTORS / "reduce_lr.json").read_text())


class Scripted:
    """Measures one dictated value after another."""

    def __init__(self, values, name="fid/raw"):
        self.values, self.name = iter(values), name

    def evaluate(self, model, iteration):
        return {self.name: next(self.values), "is/raw": 1.0}


class Rates(Hook):
    """Notes the rate after each iteration and each validation."""

    priority = "VERY_LOW"

    def __init__(self):
        self.trained, self.validated = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(runner.optim_wrapper.get_lr()["lr"][0])

    def after_val_epoch(self, runner, metrics=None):
        self.validated.append(runner.optim_wrapper.get_lr()["lr"][0])


def sgd(model, lr=0.1):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=lr))


def watching(make_runner, hook, values, rule=None, more=(), every=1, iterations=None, **settings):
    """Return a runner whose validations measure ``values``, and the rates it used."""
    model, rates = settings.pop("model", TinyModel()), Rates()
    optimizer = sgd(model)
    schedulers = [ReduceLR(optimizer, **(rule or {})), *(make(optimizer) for make in more)]
    iterations = iterations or len(values) * every
    hooks = {"logger": None, "checkpoint": None, "runtime_info": None, "param_scheduler": hook}
    arguments = {
        "optim_wrapper": optimizer,
        "param_scheduler": schedulers,
        "default_hooks": hooks,
        "train_cfg": {"by_epoch": False, "max_iters": iterations, "val_interval": every},
        "val_dataloader": [],
        "val_cfg": {"type": EvaluationLoop},
        "val_evaluator": Scripted(values),
    }
    return make_runner([rates], model=model, **(arguments | settings)), rates


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c['values']}-{c['scheduler']}-{c['interval']}"
)
def test_reference_vectors(case, make_runner):
    hook = ReduceLRSchedulerHook("fid/raw", interval=case["interval"])
    runner, rates = watching(make_runner, hook, case["metric"], case["scheduler"])
    runner.train()
    assert rates.validated == pytest.approx(case["lr"], rel=1e-12, abs=0)


def test_the_vectors_say_something():
    assert len({tuple(case["lr"]) for case in CASES}) > 10


def test_r1_the_current_message_hub_stays_the_runners(make_runner):
    runner, _ = watching(make_runner, ReduceLRSchedulerHook("fid/raw"), [1.0] * 3)
    current = MessageHub.get_current_instance()
    optimizer = sgd(TinyModel())
    ReduceLR(optimizer)
    ReduceLRSchedulerHook()
    assert MessageHub.get_current_instance() is current is runner.message_hub
    runner.train()
    assert MessageHub.get_current_instance() is runner.message_hub
    assert not MessageHub.check_instance_created("reduce_lr")


RULE = {"patience": 1, "factor": 0.5, "cooldown": 1}


@pytest.mark.parametrize("interval", [1, 2])
def test_r2_r6_a_resume_goes_on_with_the_rule(make_runner, tmp_path, interval):
    """Best value, bad count, cooldown, and the hook's own mean over an interval."""
    values = [5.0, 4.0, 4.5, 4.5, 4.5, 4.4, 4.4, 4.4, 3.0, 3.1, 3.1, 3.1]
    rule = RULE if interval == 1 else {"patience": 0, "factor": 0.5}

    def rates(measured, iterations, *more, **settings):
        hook = ReduceLRSchedulerHook("fid/raw", interval=interval)
        runner, rates = watching(
            make_runner, hook, measured, rule, every=2, iterations=iterations, **settings
        )
        for other in more:
            runner.register_hook(other)
        runner.train()
        return rates.validated

    expected = rates(values, 24)
    # Saved between the seventh validation and the eighth.
    checkpoint = CheckpointHook(15, by_epoch=False, out_dir=str(tmp_path))
    before = rates(values[:8], 15, checkpoint)
    half = next(tmp_path.rglob("iter_15.pth"))
    after = rates(values[7:], 24, resume=True, load_from=str(half))
    assert before[:7] + after == expected
    assert len(set(expected)) > 2


def test_r7_the_value_is_the_mean_over_an_interval_of_validations(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw", interval=2)
    runner, rates = watching(make_runner, hook, [1.0, 2.0, 1.0, 4.0], {"patience": 0})
    runner.train()
    assert hook.decisions[""].value == 2.5
    assert hook.decisions[""].best == 1.5
    assert rates.validated == pytest.approx([0.1, 0.1, 0.1, 0.01])


def test_r3_two_rules_do_not_disturb_each_other(make_runner):
    pairs = []
    for values in ([1.0] * 4, [4.0, 3.0, 2.0, 1.0]):
        hook = ReduceLRSchedulerHook("fid/raw")
        pairs.append(watching(make_runner, hook, values, {"patience": 0, "factor": 0.5}))
    for runner, _ in pairs:
        runner.train()
    assert [rates.validated[-1] for _, rates in pairs] == [0.1 / 8, 0.1]


class Losing(TinyModel):
    """Loses as much as the batch's first number."""

    def train_step(self, data, optim_wrapper):
        super().train_step(data, optim_wrapper)
        return {"loss": data["inputs"].double().mean()}


class Heard(ReduceLRSchedulerHook):
    """Keeps what the rule was given."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        self.keep()

    def after_train_epoch(self, runner):
        super().after_train_epoch(runner)
        self.keep()

    def keep(self):
        for decision in self.decisions.values():
            if not (self.heard and self.heard[-1] is decision):
                self.heard.append(decision)


def heard(make_runner, train_cfg, **arguments):
    hook = Heard(**arguments)
    hook.heard = []
    runner, _ = watching(
        make_runner,
        hook,
        [],
        {"patience": 0, "factor": 0.5},
        model=Losing(),
        train_cfg=train_cfg,
        train_dataloader=DataLoader(Numbers(), batch_size=4),
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        iterations=1,
    )
    runner.train()
    return [decision.value for decision in hook.heard], runner


def test_r4_the_mean_loss_is_weighted_by_images(make_runner):
    """Batches of 4, 4 and 2 of ten rows: the mean of all rows, not of three batches."""
    values, _ = heard(make_runner, {"by_epoch": True, "max_epochs": 2})
    rows = Numbers().rows.double()
    unweighted = sum(float(batch.mean()) for batch in rows.split(4)) / 3
    assert values == pytest.approx([float(rows.mean())] * 2)
    assert abs(unweighted - float(rows.mean())) > 1e-3


def test_r4_iterations_are_counted_where_by_epoch_is_false(make_runner):
    train_cfg = {"by_epoch": False, "max_iters": 6}
    values, _ = heard(make_runner, train_cfg, by_epoch=False, interval=2)
    rows = Numbers().rows.double()
    pairs = [rows[:8], torch.cat([rows[8:], rows[:4]]), rows[4:]]
    assert values == pytest.approx([float(pair.mean()) for pair in pairs])


@pytest.mark.parametrize("epochs", [6])
def test_r7_every_second_epoch_is_the_second_fourth_and_sixth(make_runner, epochs):
    values, runner = heard(make_runner, {"by_epoch": True, "max_epochs": epochs}, interval=2)
    assert len(values) == 3
    # The first look is an improvement on nothing; the next two see the same mean loss again.
    assert runner.optim_wrapper.get_lr()["lr"][0] == pytest.approx(0.1 / 4)


def test_r6_the_running_mean_survives_a_resume():
    hook = ReduceLRSchedulerHook(by_epoch=False, interval=100)
    hook.validations, hook._sum, hook._weight = 3, 2.5, 10
    checkpoint = {}
    hook.before_save_checkpoint(None, checkpoint)
    other = ReduceLRSchedulerHook(by_epoch=False, interval=100)
    other.after_load_checkpoint(None, checkpoint)
    assert (other.validations, other._sum, other._weight) == (3, 2.5, 10)
    other.after_load_checkpoint(None, {})
    assert (other.validations, other._sum, other._weight) == (0, 0.0, 0)


@pytest.mark.parametrize("metric", ["fid/raw", None])
def test_r8_other_schedulers_step_by_time(make_runner, metric):
    """A warm-up of ten iterations, while validations take place every fourth."""

    def warmup(optimizer):
        return LinearLR(optimizer, start_factor=0.1, end=10, by_epoch=False)

    hook = ReduceLRSchedulerHook(metric)
    runner, rates = watching(make_runner, hook, [1.0] * 3, {"patience": 99}, [warmup], every=4)
    runner.train()
    expected = [0.1 * (0.1 + 0.9 * min(done / 9, 1)) for done in range(1, 13)]
    assert rates.trained == pytest.approx(expected)


@pytest.mark.parametrize("beside", ["mmengine's", "another"])
def test_r9_beside_another_scheduler_hook_nothing_is_stepped_twice(make_runner, beside):
    def warmup(optimizer):
        return LinearLR(optimizer, start_factor=0.1, end=10, by_epoch=False)

    hook = ReduceLRSchedulerHook("fid/raw")
    first = ParamSchedulerHook() if beside == "mmengine's" else ReduceLRSchedulerHook("is/raw")
    rule = {"patience": 0, "factor": 0.5}
    runner, rates = watching(make_runner, first, [1.0] * 3, rule, [warmup], every=4)
    runner.register_hook(hook)
    runner.train()
    assert runner.param_schedulers[1].last_step == 9  # of a warm-up that lasts ten steps
    # Before the first validation, which reduces nothing, too.
    expected = [0.1 * (0.1 + 0.9 * done / 9) for done in range(1, 5)]
    assert rates.trained[:4] == pytest.approx(expected)
    assert hook.validations == 3


def test_r8_a_reduction_is_not_undone_by_the_next_iterations(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    rule = {"patience": 0, "factor": 0.5}
    runner, rates = watching(make_runner, hook, [1.0] * 3, rule, every=2)
    runner.train()
    assert rates.trained == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert rates.validated == pytest.approx([0.1, 0.05, 0.025])


def test_r10_a_metric_that_was_not_measured_is_named_with_those_that_were(make_runner):
    runner, _ = watching(make_runner, ReduceLRSchedulerHook("kid/raw"), [1.0])
    with pytest.raises(KeyError, match=r"'kid/raw' was not measured; measured: fid/raw, is/raw"):
        runner.train()


def test_r4_a_loss_without_a_batch_counts_as_well(make_runner):
    hook = ReduceLRSchedulerHook(by_epoch=False, interval=10**6)
    runner, _ = watching(make_runner, hook, [1.0])
    runner.train()
    hook.after_load_checkpoint(runner, {})
    for loss in (1.0, 4.0):
        hook.after_train_iter(runner, 0, None, {"loss": torch.tensor(loss)})
    assert hook._sum / hook._weight == 2.5


class Lossless(TinyModel):
    """Tells nothing that could be watched."""

    def train_step(self, data, optim_wrapper):
        return {"score": super().train_step(data, optim_wrapper)["loss"]}


def test_r5_the_loss_that_is_watched_can_be_named(make_runner):
    hook = ReduceLRSchedulerHook(by_epoch=False, loss="score")
    runner, _ = watching(make_runner, hook, [1.0], model=Lossless())
    runner.train()
    assert hook.decisions


def test_r5_a_step_without_a_loss_is_named_with_what_it_returned(make_runner):
    runner, _ = watching(make_runner, ReduceLRSchedulerHook(), [1.0], model=Lossless())
    with pytest.raises(KeyError, match="no 'loss' to watch; it returned: score"):
        runner.train()


def test_r10_nan_is_no_improvement(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    values = [2.0, math.nan, math.nan, 1.0]
    runner, rates = watching(make_runner, hook, values, {"patience": 1, "factor": 0.5})
    runner.train()
    assert rates.validated == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert hook.decisions[""].best == 1.0


def test_a_decision_says_what_was_seen_and_done(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    runner, _ = watching(make_runner, hook, [2.0, 3.0], {"patience": 0, "factor": 0.5})
    runner.train()
    (decision,) = hook.decisions.values()
    assert (decision.value, decision.best, decision.bad_count) == (3.0, 2.0, 1)
    assert (decision.old_lr, decision.new_lr) == (0.1, 0.05)


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match="interval: 0 is not at least 1"):
        ReduceLRSchedulerHook(interval=0)
