"""RecordHook on a real Runner and a real small PGGAN."""

import math
import time
from collections import Counter

import pytest
import torch
from mmengine.hooks import Hook
from tiny_gan import NOISE_SIZE, gan_settings, tiny_gan

from harness.engine.schedulers import ReduceLR
from harness.errors import Diverged
from harness.hooks import (
    IterTimerHook,
    PGGANFetchDataHook,
    RecordHook,
    ReduceLRSchedulerHook,
)
from harness.records.quantities import lookup
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

LOSSES = ("loss/d", "loss/g", "loss/penalty")
CLOCKS = ("time/train_sec", "time/eval_sec", "time/overhead_sec")


class Drawing:
    """Measures the spread of images, and refuses what is not finite as an evaluation does."""

    def evaluate(self, model, iteration):
        images = model.draw(model.generator, torch.ones(2, NOISE_SIZE))
        if not images.isfinite().all():
            raise Diverged(iteration)
        time.sleep(0.02)
        return {"fid[x]/raw": 5.0, "fid[x]/m0.5": 4.0 + iteration / 100}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin({}, {})
    yield folder
    folder.end(Outcome(Status.FINISHED))


def recorded(make_runner, folder, *hooks, total=48, log_images=8, eval_images=20, **settings):
    """Train, and return the rows that were written."""
    gan = tiny_gan()
    usual = gan_settings(gan, total, eval_images=eval_images, evaluator=Drawing(), lr=0.002)
    usual["default_hooks"] |= {"timer": IterTimerHook()}
    default_hooks = usual["default_hooks"] | settings.pop("default_hooks", {})
    record = RecordHook(folder, log_images)
    schedulers = settings.pop("rule", None)
    if schedulers is not None:
        settings["param_scheduler"] = {
            name: [ReduceLR(wrapper, **schedulers)]
            for name, wrapper in usual["optim_wrapper"].items()
        }
    runner = make_runner(
        [PGGANFetchDataHook(), *hooks, record],
        **(usual | settings | {"default_hooks": default_hooks}),
    )
    runner.train()
    return folder.rows()


def of(rows, quantity):
    return [row for row in rows if row.quantity == quantity]


def test_losses_and_stage_are_written_as_images_are_shown(make_runner, folder):
    rows = recorded(make_runner, folder)
    for quantity in LOSSES:
        written = of(rows, quantity)
        assert [row.kimg for row in written] == [0.008, 0.016, 0.024, 0.032, 0.04, 0.048]
        # Batches of 4 until 40 images were shown, of 2 from there.
        assert [row.iteration for row in written] == [2, 4, 6, 8, 10, 14]
        assert all(math.isfinite(row.value) and row.arm == "run" for row in written)
    scales = [row.value for row in of(rows, "train/scale_px") if row.iteration != 0]
    assert scales[:2] == [4, 8]
    assert scales[-1] == 16
    weights = {row.kimg: row.value for row in of(rows, "train/transition_weight")}
    assert weights[0.024] == pytest.approx(8 / 12)
    assert {row.value for row in of(rows, "train/lr")} == {0.002}


def test_every_metric_is_written_with_its_arm(make_runner, folder):
    rows = of(recorded(make_runner, folder), "fid[x]")
    assert [(row.arm, row.kimg, row.iteration, row.value) for row in rows] == [
        ("raw", 0.02, 5, 5.0),
        ("m0.5", 0.02, 5, 4.05),
        ("raw", 0.04, 10, 5.0),
        ("m0.5", 0.04, 10, 4.1),
        ("raw", 0.048, 14, 5.0),
        ("m0.5", 0.048, 14, 4.14),
    ]


def test_every_row_is_a_known_quantity_in_its_range_and_in_order_of_time(make_runner, folder):
    rows = recorded(make_runner, folder)
    for row in rows:
        meaning = lookup(row.quantity)
        assert meaning.low <= row.value <= meaning.high, row
    for column in ("sec", "iteration", "kimg"):
        values = [getattr(row, column) for row in rows]
        assert values == sorted(values)
    assert max(Counter((r.quantity, r.arm, r.iteration) for r in of(rows, "loss/d")).values()) == 1


def test_clocks_add_up_and_never_exceed_the_wall(make_runner, folder):
    begin = time.perf_counter()
    rows = recorded(make_runner, folder)
    wall = time.perf_counter() - begin
    clocks = {name: [row.value for row in of(rows, name)] for name in CLOCKS}
    assert all(len(values) == 4 for values in clocks.values())  # three evaluations and the end
    for values in (clocks["time/train_sec"], clocks["time/eval_sec"]):
        assert values == sorted(values)
        assert values[0] > 0
    assert clocks["time/eval_sec"][-1] >= 0.06
    assert sum(values[-1] for values in clocks.values()) <= wall
    last = max(row.sec for row in rows)
    assert sum(values[-1] for values in clocks.values()) == pytest.approx(last, abs=0.05)
    assert all(row.value > 0 for row in of(rows, "memory/peak_rss_gib"))


def test_a_reduction_is_written_with_its_reason(make_runner, folder):
    hook = ReduceLRSchedulerHook("fid[x]/m0.5")
    rows = recorded(
        make_runner,
        folder,
        rule={"patience": 0, "factor": 0.5},
        default_hooks={"param_scheduler": hook},
    )
    written = {
        name: [row.value for row in of(rows, f"reduce_lr/{name}")]
        for name in ("value", "best", "bad_count", "old_lr", "new_lr")
    }
    assert written == {
        "value": [4.05, 4.1, 4.14],
        "best": [4.05] * 3,
        "bad_count": [0, 1, 1],
        "old_lr": [0.002, 0.002, 0.001],
        "new_lr": [0.002, 0.001, 0.0005],
    }


def test_decisions_on_a_loss_are_written_too(make_runner, folder):
    hook = ReduceLRSchedulerHook(by_epoch=False, interval=4, loss="loss_d")
    rows = recorded(
        make_runner,
        folder,
        rule={"patience": 0, "factor": 0.5},
        default_hooks={"param_scheduler": hook},
    )
    looks = [row.iteration for row in of(rows, "reduce_lr/value")]
    assert looks == list(range(4, rows[-1].iteration + 1, 4))
    new, old = ([r.value for r in of(rows, f"reduce_lr/{n}_lr")] for n in ("new", "old"))
    assert old[1:] == new[:-1]


class Poison(Hook):
    """Makes the loss of one iteration NaN."""

    priority = "VERY_HIGH"

    def __init__(self, iteration, network="discriminator"):
        self.iteration, self.network = iteration, network

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            with torch.no_grad():
                next(getattr(runner.model, self.network).parameters()).fill_(math.nan)


@pytest.mark.parametrize("network", ["discriminator", "generator"])
@pytest.mark.parametrize(
    "looks",
    [
        {"log_images": 4, "eval_images": 1000},  # noticed in the next row
        {"log_images": 1000, "eval_images": 20},  # noticed by the next evaluation
        {"log_images": 1000, "eval_images": 1000},  # noticed at the end
    ],
    ids=["row", "evaluation", "end"],
)
def test_divergence_is_told_with_the_iteration_at_which_it_began(
    make_runner, folder, network, looks
):
    with pytest.raises(Diverged) as error:
        recorded(make_runner, folder, Poison(3, network), **looks)
    assert error.value.iteration == 3
    assert all(math.isfinite(row.value) for row in folder.rows())


def test_an_exploding_rate_ends_the_run(make_runner, folder):
    class Explode(Hook):
        """Sets a rate that no training survives."""

        def before_train(self, runner):
            for _, wrapper in runner.optim_wrapper.items():
                wrapper.param_groups[0]["lr"] = 1e20

    with pytest.raises(Diverged, match="lower the learning rate") as error:
        recorded(make_runner, folder, Explode(), log_images=1000)
    assert error.value.iteration == 1  # the generator's loss follows the critic's first update
