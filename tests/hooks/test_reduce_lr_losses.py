"""ReduceLRSchedulerHook on training losses; R-numbers are the faults it must not have."""

import pytest
import torch
from tiny import Numbers, TinyModel
from torch.utils.data import DataLoader
from watched import watching

from harness.hooks import ReduceLRSchedulerHook


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
