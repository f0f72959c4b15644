"""IterTimerHook on a GPU: T6, device time without a stop at each step."""

import time

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from tiny import TinyModel

from harness.hooks import IterTimerHook

pytestmark = pytest.mark.gpu

ITERATIONS = 8
CYCLES = 200_000_000  # of the GPU's clock, about a tenth of a second


class Sleeps(TinyModel):
    """Keeps the GPU busy, and the CPU free."""

    def train_step(self, data, optim_wrapper):
        result = super().train_step({"inputs": data["inputs"].cuda()}, optim_wrapper)
        torch.cuda._sleep(CYCLES)
        return {"score": result["loss"]}


class Behind(Hook):
    """Notes the seconds on the CPU at the end of each iteration, after the timer."""

    priority = "VERY_LOW"

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(time.perf_counter())


def test_t6_iterations_are_timed_on_the_device_without_a_wait_at_each(make_runner):
    model = Sleeps().cuda()
    timer, behind = IterTimerHook(), Behind()
    runner = make_runner(
        [behind],
        ITERATIONS,
        model,
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
        default_hooks={
            "logger": None,
            "checkpoint": None,
            "runtime_info": None,
            "timer": timer,
        },
    )
    torch.cuda.synchronize()
    begin = time.perf_counter()
    runner.train()
    wall = time.perf_counter() - begin
    seconds, _ = runner.message_hub.get_scalar("train/time").data
    assert len(seconds) == ITERATIONS
    busy = sum(seconds[1:]) / (ITERATIONS - 1)
    assert timer.time_sec_tot == pytest.approx(sum(seconds))
    assert timer.time_sec_tot <= wall * 1.05
    # The CPU ran ahead of the device: nobody waited at the end of an iteration.
    ahead = behind.seen[-1] - behind.seen[1]
    assert ahead < 0.5 * busy * (ITERATIONS - 2)
    assert timer.train_sec == pytest.approx(timer.time_sec_tot, rel=0.2)
