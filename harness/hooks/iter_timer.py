"""IterTimerHook: seconds per iteration, time left, and three clocks kept apart."""

import time
from collections.abc import Sequence
from typing import Any

import mmengine.hooks
import torch
from mmengine.runner import Runner

from harness.registry import HOOKS


@HOOKS.register_module()
class IterTimerHook(mmengine.hooks.IterTimerHook):
    """Time iterations, and tell training from evaluation.

    As mmengine's hook, with these differences: the loops' own ``total_length`` is used where they
    have one (several dataloaders); validation never touches the estimate of training's end; the
    clocks ``train_sec`` and ``eval_sec`` add up whole stretches, and the device is waited for only
    at their ends, so that GPU time is counted where it belongs without a stop at each step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.t = time.time()
        self.time_sec_test_val = 0.0
        self.train_sec = 0.0
        self.eval_sec = 0.0
        self._mark = time.perf_counter()
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Start the training clock."""
        super().before_train(runner)
        self._lap()
        self._training = True

    def after_train(self, runner: Runner) -> None:
        """Stop the training clock."""
        self.train_sec += self._lap()
        self._training = False

    def before_val(self, runner: Runner) -> None:
        """Stop the training clock, if it runs, and start evaluation's."""
        lap = self._lap()
        if self._training:
            self.train_sec += lap

    def after_val(self, runner: Runner) -> None:
        """Stop evaluation's clock, start training's."""
        self.eval_sec += self._lap()
        # The next iteration's time begins here: computing metrics is no part of it.
        self.t = time.time()

    def _lap(self) -> float:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        lap, self._mark = now - self._mark, now
        return lap

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | Sequence[Any] | None = None,
        mode: str = "train",
    ) -> None:
        """Log the iteration's seconds and, in ``eta`` (train) or ``eta_val``, the seconds left."""
        hub = runner.message_hub
        hub.update_scalar(f"{mode}/time", time.time() - self.t)
        self.t = time.time()
        window = hub.get_scalar(f"{mode}/time")
        if mode == "train":
            self.time_sec_tot += window.current()
            done = runner.iter + 1 - self.start_iter
            hub.update_info("eta", self.time_sec_tot / done * (runner.max_iters - runner.iter - 1))
            return
        loop = runner.val_loop if mode == "val" else runner.test_loop
        # MultiValLoop and MultiTestLoop know their length over all dataloaders.
        total = getattr(loop, "total_length", None) or len(loop.dataloader)
        self.time_sec_test_val += window.current()
        left = self.time_sec_test_val / (batch_idx + 1) * max(0, total - batch_idx - 1)
        hub.update_info(f"eta_{mode}", left)
        if batch_idx + 1 >= total:
            self.time_sec_test_val = 0
