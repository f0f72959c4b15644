"""IterTimerHook on a real Runner and a simulated clock; T-numbers are faults it must not have."""

import itertools
import time

import mmengine.hooks.iter_timer_hook
import mmengine.runner
import pytest
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook, Hook
from tiny import Numbers, TinyModel
from torch.utils.data import DataLoader

import harness.hooks.iter_timer
from harness.hooks import IterTimerHook

TRAIN_SEC, VAL_SEC = 2.0, 50.0


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    perf_counter = time


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (harness.hooks.iter_timer, mmengine.hooks.iter_timer_hook):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Slow(TinyModel):
    """Takes a given time for each step."""

    def __init__(self, clock, train_sec):
        super().__init__()
        self.clock, self.train_sec = clock, list(train_sec)

    def train_step(self, data, optim_wrapper):
        self.clock.now += self.train_sec.pop(0)
        return super().train_step(data, optim_wrapper)

    def val_step(self, data):
        self.clock.now += VAL_SEC
        return super().val_step(data)

    test_step = val_step


class Count(BaseMetric):
    """How many batches were looked at."""

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return {"batches": len(results)}


class Etas(Hook):
    """Notes the message hub's estimates after every iteration."""

    priority = "VERY_LOW"

    def __init__(self):
        self.seen = {"train": [], "val": [], "test": []}
        self.with_val = []

    def _after_iter(self, runner, batch_idx, data_batch=None, outputs=None, mode="train"):
        names = ("eta", f"eta_{mode}")
        infos = runner.message_hub.runtime_info
        self.seen[mode].append(tuple(infos.get(name) for name in names))
        if mode == "train":
            self.with_val.append(infos.get("eta_with_val"))


def timed(make_runner, model, **settings):
    timer, etas = IterTimerHook(), Etas()
    hooks = {"logger": None, "checkpoint": None, "timer": timer}
    runner = make_runner([etas], model=model, default_hooks=hooks, **settings)
    return runner, timer, etas.seen


def evaluated(kind):
    return {
        f"{kind}_dataloader": DataLoader(Numbers(), batch_size=4),
        f"{kind}_cfg": {},
        f"{kind}_evaluator": Evaluator(Count()),
    }


@pytest.mark.parametrize(
    ("train_cfg", "count"),
    [({"by_epoch": False, "max_iters": 8}, 8), ({"by_epoch": True, "max_epochs": 3}, 6)],
)
def test_t1_time_left_is_exact_in_runs_shorter_than_a_window(make_runner, clock, train_cfg, count):
    model = Slow(clock, [TRAIN_SEC] * count)
    loader = DataLoader(Numbers(), batch_size=4, drop_last=True)  # two batches
    runner, _, seen = timed(make_runner, model, train_cfg=train_cfg, train_dataloader=loader)
    runner.train()
    expected = [TRAIN_SEC * left for left in reversed(range(count))]
    assert [eta for eta, _ in seen["train"]] == pytest.approx(expected)


def test_t1_time_left_is_the_mean_of_all_iterations_so_far(make_runner, clock):
    """Longer than a window of ten: what was slow at first is not forgotten."""
    seconds = [4.0] * 10 + [1.0] * 20
    runner, _, seen = timed(make_runner, Slow(clock, seconds), iterations=30)
    runner.train()
    for done, (eta, _) in enumerate(seen["train"], 1):
        assert eta == pytest.approx(sum(seconds[:done]) / done * (30 - done))


@pytest.mark.parametrize("kind", ["val", "test"])
def test_t2_ordinary_loops_are_timed(make_runner, clock, kind):
    runner, _, seen = timed(make_runner, Slow(clock, []), **evaluated(kind))
    assert getattr(runner, kind)() == {"batches": 3}
    assert [eta for _, eta in seen[kind]] == [2 * VAL_SEC, VAL_SEC, 0]


class ThreeMore(mmengine.runner.ValLoop):
    """A loop over several dataloaders says how long it is altogether."""

    total_length = 6

    def run(self):
        self.runner.call_hook("before_val")
        self.runner.call_hook("before_val_epoch")
        for first in (0, 3):
            for index, batch in enumerate(self.dataloader):
                self.run_iter(first + index, batch)
        self.runner.call_hook("after_val")


def test_a_loops_own_length_is_used(make_runner, clock):
    settings = evaluated("val") | {"val_cfg": {"type": ThreeMore}}
    runner, _, seen = timed(make_runner, Slow(clock, []), **settings)
    runner.val()
    assert [eta for _, eta in seen["val"]] == [VAL_SEC * left for left in (5, 4, 3, 2, 1, 0)]


def alternating(make_runner, clock):
    train_cfg = {"by_epoch": False, "max_iters": 6, "val_interval": 2}
    model = Slow(clock, [TRAIN_SEC] * 6)
    return timed(make_runner, model, train_cfg=train_cfg, **evaluated("val"))


def test_t3_validation_leaves_the_time_left_of_training_alone(make_runner, clock):
    runner, _, seen = alternating(make_runner, clock)
    runner.train()
    assert [eta for eta, _ in seen["train"]] == pytest.approx([10, 8, 6, 4, 2, 0])
    assert [eta for eta, _ in seen["val"]] == pytest.approx([8] * 3 + [4] * 3 + [0] * 3)


def test_t3_one_estimate_has_validation_at_its_share_so_far(make_runner, clock):
    runner, _, _ = alternating(make_runner, clock)
    etas = next(hook for hook in runner.hooks if isinstance(hook, Etas))
    runner.train()
    validation = 3 * VAL_SEC
    spent = [(done * TRAIN_SEC + (done - 1) // 2 * validation) / done for done in range(1, 7)]
    assert etas.with_val == pytest.approx(
        [mean * left for mean, left in zip(spent, (5, 4, 3, 2, 1, 0), strict=True)]
    )


class OneMore(ThreeMore):
    """A loop that gives more batches than it says."""

    total_length = 5


def test_t5_the_last_estimate_is_nought_and_none_is_negative(make_runner, clock):
    settings = evaluated("val") | {"val_cfg": {"type": OneMore}}
    runner, _, seen = timed(make_runner, Slow(clock, []), **settings)
    runner.val()
    runner.val()
    assert [eta for _, eta in seen["val"]] == [VAL_SEC * left for left in (4, 3, 2, 1, 0, 0)] * 2


@pytest.mark.parametrize("resume", [True, False])
def test_t6_clocks_and_the_mean_survive_a_resume(make_runner, clock, tmp_path, resume):
    """Three slow iterations, a validation among them, then three quick ones; saved before these."""
    train_cfg = {"by_epoch": False, "max_iters": 6, "val_interval": 2}
    save = CheckpointHook(3, by_epoch=False, out_dir=str(tmp_path / "kept"))
    first = Slow(clock, [4.0] * 3)
    cfg = {**train_cfg, "max_iters": 3}
    runner, timer, _ = timed(make_runner, first, train_cfg=cfg, **evaluated("val"))
    runner.register_hook(save)
    runner.train()
    assert (timer.train_sec, timer.eval_sec) == pytest.approx((12, 6 * VAL_SEC))
    kept = next(tmp_path.rglob("iter_3.pth"))
    clock.now += 10_000
    more = {"load_from": str(kept), "resume": resume, "train_cfg": train_cfg} | evaluated("val")
    second = Slow(clock, [1.0] * (3 if resume else 6))
    runner, timer, seen = timed(make_runner, second, **more)
    runner.train()
    etas = [eta for eta, _ in seen["train"]]
    if resume:
        assert etas == pytest.approx([13 / 4 * 2, 14 / 5, 0])
        assert (timer.train_sec, timer.eval_sec) == pytest.approx((15, 9 * VAL_SEC))
    else:
        assert etas == pytest.approx([5, 4, 3, 2, 1, 0])
        assert (timer.train_sec, timer.eval_sec) == pytest.approx((6, 9 * VAL_SEC))


def test_clocks_of_training_and_evaluation_are_kept_apart(make_runner, clock):
    runner, timer, _ = alternating(make_runner, clock)
    begin = clock.now
    runner.train()
    assert timer.train_sec == pytest.approx(6 * TRAIN_SEC)
    assert timer.eval_sec == pytest.approx(9 * VAL_SEC)
    assert timer.train_sec + timer.eval_sec == clock.now - begin


class SlowMetric(Count):
    """Takes its time to compute, after the last batch."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def compute_metrics(self, results):
        self.clock.now += 1000
        return super().compute_metrics(results)


def test_t4_computing_metrics_is_evaluation_not_the_next_iteration(make_runner, clock):
    settings = evaluated("val") | {"val_evaluator": Evaluator(SlowMetric(clock))}
    train_cfg = {"by_epoch": False, "max_iters": 4, "val_interval": 2}
    model = Slow(clock, [TRAIN_SEC] * 4)
    runner, timer, seen = timed(make_runner, model, train_cfg=train_cfg, **settings)
    runner.train()
    assert timer.eval_sec == pytest.approx(6 * VAL_SEC + 2000)
    assert timer.train_sec == pytest.approx(4 * TRAIN_SEC)
    data_times, _ = runner.message_hub.get_scalar("train/data_time").data
    assert max(data_times) == 0
    assert [eta for eta, _ in seen["train"]] == pytest.approx([6, 4, 2, 0])


def test_validation_alone_is_no_training(make_runner, clock):
    runner, timer, _ = timed(make_runner, Slow(clock, []), **evaluated("val"))
    clock.now += 500
    runner.val()
    assert timer.train_sec == 0
    assert timer.eval_sec == pytest.approx(3 * VAL_SEC)


def test_clocks_never_exceed_the_time_on_the_wall(make_runner):
    train_cfg = {"by_epoch": False, "max_iters": 4, "val_interval": 2}
    runner, timer, _ = timed(make_runner, TinyModel(), train_cfg=train_cfg, **evaluated("val"))
    begin = time.perf_counter()
    runner.train()
    wall = time.perf_counter() - begin
    assert timer.train_sec > 0
    assert timer.eval_sec > 0
    assert timer.train_sec + timer.eval_sec <= wall


def test_a_wall_clock_that_is_set_changes_no_time(make_runner, monkeypatch):
    right, jumps = time.time, itertools.cycle([-1e9, 1e9])
    monkeypatch.setattr(time, "time", lambda: right() + next(jumps))
    timer = IterTimerHook()
    runner = make_runner(
        [], iterations=4, default_hooks={"timer": timer, "logger": None, "checkpoint": None}
    )
    runner.train()
    assert 0 <= timer.time_sec_tot < 100
    assert all(0 <= sec < 100 for sec in runner.message_hub.get_scalar("train/time").data[0])
