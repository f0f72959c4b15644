"""IterTimerHook: seconds per iteration, time left, and three clocks kept apart."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import mmengine.hooks
import torch
from mmengine.runner import Runner

from harness.registry import HOOKS

_STATE = "harness_iter_timer"


@HOOKS.register_module()
class IterTimerHook(mmengine.hooks.IterTimerHook):
    """Time iterations, and tell training from evaluation.

    As mmengine's hook, with these differences. The message hub holds, in seconds, ``eta`` of
    training, which validation never touches; ``eta_with_val``, which adds validation at its share
    of the time so far; ``eta_val`` and ``eta_test``, by the loops' own ``total_length`` where they
    have one (several dataloaders). The clocks ``train_sec`` and ``eval_sec`` add up whole
    stretches; they and the mean behind ``eta`` go on when a run is resumed.

    On a GPU an iteration is timed between events in its stream, read once they have passed, and
    the device is waited for only at the ends of stretches: no stop at each step. ``train/time``
    may so come a few iterations late.

    Attributes:
        train_sec: seconds of training.
        eval_sec: seconds of validation within and outside training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.t = time.time()
        self.time_sec_test_val = 0.0
        self.train_sec = 0.0
        self.eval_sec = 0.0
        self._timed = 0
        self._timed_val = 0
        self._mark = time.perf_counter()
        self._training = False
        self._kept: dict[str, Any] | None = None
        self._laps: ClockLaps | EventLaps = ClockLaps()

    def before_train(self, runner: Runner) -> None:
        """Start the training clock, of a resumed run where it stood."""
        super().before_train(runner)
        kept, self._kept = self._kept, None
        if kept is not None and kept["iter"] == runner.iter > 0:
            self.time_sec_tot, self._timed = kept["time_sec_tot"], kept["timed"]
            self.train_sec, self.eval_sec = kept["train_sec"], kept["eval_sec"]
        self._lap()
        self._training = True

    def after_train(self, runner: Runner) -> None:
        """Stop the training clock."""
        self.train_sec += self._lap()
        self._read(runner, "train")
        self._training = False

    def before_val(self, runner: Runner) -> None:
        """Stop the training clock, if it runs, and start evaluation's."""
        lap = self._lap()
        if self._training:
            self.train_sec += lap
            self._read(runner, "train")

    def after_val(self, runner: Runner) -> None:
        """Stop evaluation's clock, start training's."""
        self.eval_sec += self._lap()
        # The next iteration's time begins here: computing metrics is no part of it.
        self._begin()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the clocks."""
        lap = self._lap()
        if self._training:
            self.train_sec += lap
            self._read(runner, "train")
        checkpoint[_STATE] = {
            "iter": checkpoint.get("meta", {}).get("iter", runner.iter),
            "time_sec_tot": self.time_sec_tot,
            "timed": self._timed,
            "train_sec": self.train_sec,
            "eval_sec": self.eval_sec,
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take the clocks over, should training go on at the checkpoint's iteration."""
        self._kept = checkpoint.get(_STATE)

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        self._begin()

    def _after_epoch(self, runner: Runner, mode: str = "train") -> None:
        self.time_sec_test_val, self._timed_val = 0.0, 0
        if mode != "train":
            self._laps = _laps()

    def _begin(self) -> None:
        self.t = time.time()
        if type(self._laps) is not type(fresh := _laps()):
            self._laps = fresh
        self._laps.begin()

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
        """Log the iteration's seconds, and the seconds left."""
        self._laps.end()
        self.t = time.time()
        self._read(runner, mode)
        hub = runner.message_hub
        if mode == "train":
            left = runner.max_iters - runner.iter - 1
            if self._timed:
                hub.update_info("eta", self.time_sec_tot / self._timed * left)
                both = self.time_sec_tot + self.eval_sec
                hub.update_info("eta_with_val", both / self._timed * left)
            return
        loop = runner.val_loop if mode == "val" else runner.test_loop
        # MultiValLoop and MultiTestLoop know their length over all dataloaders.
        total = getattr(loop, "total_length", None) or len(loop.dataloader)
        left = max(0, total - batch_idx - 1)
        hub.update_info(f"eta_{mode}", self.time_sec_test_val / max(self._timed_val, 1) * left)
        if left == 0:
            self.time_sec_test_val, self._timed_val = 0.0, 0

    def _read(self, runner: Runner, mode: str) -> None:
        for sec in self._laps.ended():
            runner.message_hub.update_scalar(f"{mode}/time", sec)
            if mode == "train":
                self.time_sec_tot += sec
                self._timed += 1
            else:
                self.time_sec_test_val += sec
                self._timed_val += 1


class ClockLaps:
    """Seconds of each iteration, by a clock that nobody sets."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds: list[float] = []

    def begin(self) -> None:
        """Note that an iteration begins, some time after the last one."""
        self._last = time.perf_counter()

    def end(self) -> None:
        """Note that an iteration ended, and the next one begins."""
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now

    def ended(self) -> list[float]:
        """Return the seconds of those not returned yet."""
        seconds, self._seconds = self._seconds, []
        return seconds


class EventLaps:
    """Seconds of each iteration on the current GPU, known once its end has passed there."""

    def __init__(self) -> None:
        self._last = _event()
        self._laps: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def begin(self) -> None:
        """Note that an iteration begins, some time after the last one."""
        self._last = _event()

    def end(self) -> None:
        """Note that an iteration ended, and the next one begins; waits for nothing."""
        now = _event()
        self._laps.append((self._last, now))
        self._last = now

    def ended(self) -> Iterator[float]:
        """Yield the seconds of those that ended on the GPU, and were not yielded yet."""
        while self._laps and self._laps[0][1].query():
            begin, end = self._laps.popleft()
            yield begin.elapsed_time(end) / 1000


def _laps() -> ClockLaps | EventLaps:
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return EventLaps() if on_gpu else ClockLaps()


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
