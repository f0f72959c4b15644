"""RecordHook: what happened in a run, as rows."""

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from harness.errors import Diverged
from harness.hooks.certificate import EMACertificateHook
from harness.hooks.iter_timer import IterTimerHook
from harness.hooks.reduce_lr import ReduceLRSchedulerHook
from harness.records.store import RunFolder
from harness.records.types import Row
from harness.registry import HOOKS
from harness.structures import shown_images

_LOSSES = {
    "loss_d": "loss/d",
    "loss_g": "loss/g",
    "loss_penalty": "loss/penalty",
    "loss_path": "loss/path",
    "ada_p": "train/ada_p",
    "loss_recon": "loss/recon",
}

_LOOK_EVERY = 64
_STATE = "harness_record"


@HOOKS.register_module()
class RecordHook(Hook):
    """Write losses, metrics, rates, clocks and memory into a run's folder.

    Losses are read from the device only when they are written, every ``log_images`` images. Whether
    one became NaN or infinite is looked at there, and at least every 64 iterations, and told with
    the iteration at which it did.

    Args:
        folder: the run's folder, begun.
        log_images: images between two rows of losses.
        arms: name of each shadow's arm, by its attribute in the model, where that is another.

    Raises:
        Diverged: if a loss was not finite.
    """

    priority = "VERY_LOW"

    def __init__(
        self, folder: RunFolder, log_images: int, arms: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.log_images = log_images
        self.arms = dict(arms or {})
        self.iteration = 0
        """Iterations done."""
        self._begin = time.perf_counter()
        self._bad: Tensor | None = None
        self._looks = 0

    def before_train(self, runner: Runner) -> None:
        """Note where training begins."""
        self.iteration = runner.iter

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the clock; refuse to keep a run whose losses are not finite."""
        self._raise_if_bad()
        checkpoint[_STATE] = {"sec": time.perf_counter() - self._begin}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Go on with the clock."""
        self._begin = time.perf_counter() - checkpoint.get(_STATE, {"sec": 0.0})["sec"]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Watch the losses, and write them when that is due."""
        outputs = outputs or {}
        self.iteration = runner.iter + 1
        self._watch([value for name, value in outputs.items() if name in _LOSSES])
        shown = runner.model.images_shown
        last = shown - shown_images(data_batch)
        logs = shown // self.log_images > last // self.log_images
        if logs or self.iteration % _LOOK_EVERY == 0:
            self._raise_if_bad()
        if logs:
            losses = {_LOSSES[n]: float(v) for n, v in outputs.items() if n in _LOSSES}
            self._write(runner, "run", losses | self._training(runner))
        self._write_decisions(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write what ReduceLR made of the epoch's loss."""
        self._write_decisions(runner)

    def before_val(self, runner: Runner) -> None:
        """End a diverged run with the iteration of its loss, before an image tells a later one."""
        self._raise_if_bad()

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Write every arm's metrics and what ReduceLR made of them."""
        for name, value in (metrics or {}).items():
            quantity, _, arm = name.rpartition("/")
            self._write(runner, arm, {quantity: value})
        self._write_decisions(runner)

    def after_val(self, runner: Runner) -> None:
        """Write the clocks, which stop before this hook."""
        self._write(runner, "run", self._training(runner) | self._clocks(runner) | _memory())

    def after_train(self, runner: Runner) -> None:
        """Write the clocks at the end, and each shadow's certificate."""
        self._write(runner, "run", self._clocks(runner))
        for hook in runner.hooks:
            if isinstance(hook, EMACertificateHook):
                for shadow, found in hook.certificates.items():
                    self._write(runner, self.arms.get(shadow, shadow), {"ema_error": found.error})

    def _watch(self, losses: list[Tensor]) -> None:
        # The first bad iteration is kept on the device: no wait for it at each step.
        if not losses:
            return
        finite = torch.stack(losses).sum().isfinite()
        if self._bad is None:
            self._bad = torch.full((), sys.maxsize, device=finite.device)
        self._bad = torch.where(finite, self._bad, self._bad.clamp(max=self.iteration))

    def _raise_if_bad(self) -> None:
        if self._bad is not None and int(self._bad) < sys.maxsize:
            raise Diverged(int(self._bad))

    def _training(self, runner: Runner) -> dict[str, float]:
        stage = runner.model.stage
        group = runner.optim_wrapper["generator"].param_groups[0]
        return {
            "train/lr": group["lr"],
            "train/scale_px": stage.scale,
            "train/transition_weight": stage.transition_weight,
        }

    def _clocks(self, runner: Runner) -> dict[str, float]:
        timer = next(hook for hook in runner.hooks if isinstance(hook, IterTimerHook))
        overhead = time.perf_counter() - self._begin - timer.train_sec - timer.eval_sec
        return {
            "time/train_sec": timer.train_sec,
            "time/eval_sec": timer.eval_sec,
            "time/overhead_sec": max(0.0, overhead),
        }

    def _write_decisions(self, runner: Runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, ReduceLRSchedulerHook) and hook.looks > self._looks:
                self._looks = hook.looks
                self._write(runner, "run", told_of(hook))

    def _write(self, runner: Runner, arm: str, values: Mapping[str, float]) -> None:
        kimg = runner.model.images_shown / 1000
        sec = time.perf_counter() - self._begin
        self.folder.append(
            Row(quantity, arm, float(value), kimg, self.iteration, sec)
            for quantity, value in values.items()
        )


def told_of(hook: ReduceLRSchedulerHook) -> dict[str, float]:
    """Return what is written of a rule's latest look, by quantity; nothing before the first."""
    decision = hook.decisions.get("generator")
    if decision is None:
        return {}
    return {
        "reduce_lr/value": decision.value,
        "reduce_lr/best": decision.best,
        "reduce_lr/bad_count": float(decision.bad_count),
        "reduce_lr/old_lr": decision.old_lr,
        "reduce_lr/new_lr": decision.new_lr,
    }


def _memory() -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    values = {"memory/peak_rss_gib": peak / (2**30 if sys.platform == "darwin" else 2**20)}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        values["memory/peak_gpu_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return values
