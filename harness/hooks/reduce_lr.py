"""ReduceLRSchedulerHook: hands the watched value to the schedulers that wait for one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mmengine.hooks import ParamSchedulerHook
from mmengine.runner import Runner
from torch import Tensor

from harness.registry import HOOKS
from harness.structures import shown_images


@dataclass(frozen=True, slots=True)
class Decision:
    """What one look at the watched value led to; rates are those of the first parameter group."""

    value: float
    best: float
    bad_count: int
    old_lr: float
    new_lr: float


@runtime_checkable
class Watching(Protocol):
    """A scheduler that acts on a value, such as ReduceLR."""

    def watch(self, value: float) -> Decision:
        """Look at the value once."""


@HOOKS.register_module()
class ReduceLRSchedulerHook(ParamSchedulerHook):
    """Step schedulers by time as mmengine does, and ReduceLR by a value.

    It takes the place of mmengine's ``param_scheduler`` default hook; beside it, or beside another
    of its kind, only the first of them steps schedulers by time. With ``val_metric`` the value is
    that metric's mean over ``interval`` validations; without, the mean of a training loss, weighted
    by images, over ``interval`` iterations or epochs.

    Args:
        val_metric: name of a validation metric, such as ``fid[digits-cnn]/raw``.
        by_epoch: whether ``interval`` counts epochs (True) or iterations, without ``val_metric``.
        interval: looks are that far apart.
        loss: which of the values that ``train_step`` returns is watched without ``val_metric``,
            such as ``loss_g``.
        optimizer: name of the optimizer whose rules are given the value, such as ``generator``,
            so that two hooks can watch two values; by default those of every optimizer.

    Raises:
        KeyError: if the metric or loss is not among those measured; names them.
    """

    def __init__(
        self,
        val_metric: str | None = None,
        by_epoch: bool = True,
        interval: int = 1,
        loss: str = "loss",
        optimizer: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"interval: {interval} is not at least 1")
        self.val_metric = val_metric
        self.by_epoch = by_epoch
        self.interval = interval
        self.loss = loss
        self.optimizer = optimizer
        self.decisions: dict[str, Decision] = {}
        """The latest decision by optimizer name; empty before the first."""
        self.looks = 0
        """How many times a value was looked at, in this process."""
        self.validations = 0
        self._sum: Tensor | float = 0.0
        self._weight = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Step schedulers by iteration; add up the loss, and look at it when that is due."""
        if self._first(runner):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if self.val_metric is not None:
            return
        if outputs is None or self.loss not in outputs:
            known = ", ".join(outputs or ())
            raise KeyError(f"train_step returned no {self.loss!r} to watch; it returned: {known}")
        loss = outputs[self.loss]
        # Added up where it is: the device is waited for at a look, not at each iteration.
        loss = loss.detach().double() if isinstance(loss, Tensor) else loss
        self._add(loss, shown_images(data_batch) or 1)
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self._watch(runner.param_schedulers)

    def after_train_epoch(self, runner: Runner) -> None:
        """Step schedulers by epoch; look at the mean loss when that is due."""
        if self._first(runner):
            super().after_train_epoch(runner)
        if self.val_metric is None and self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._watch(runner.param_schedulers)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Add up the metric; look at its mean at each ``interval``-th validation."""
        if self._first(runner):
            super().after_val_epoch(runner, metrics)
        if self.val_metric is not None and metrics is not None:
            self.measured(self.val_metric, metrics, runner.param_schedulers)

    def measured(self, watched: str, metrics: Mapping[str, float], schedulers: Any) -> None:
        """Take in one validation; where that is due, have schedulers look at the metric's mean.

        Args:
            watched: the metric's name.
            metrics: what was measured, by name.
            schedulers: a list, or lists by the optimizer's name.

        Raises:
            KeyError: if the metric was not measured; names those that were.
        """
        if watched not in metrics:
            known = ", ".join(metrics)
            raise KeyError(f"val_metric {watched!r} was not measured; measured: {known}")
        self._add(float(metrics[watched]), 1)
        self.validations += 1
        if self.validations % self.interval == 0:
            self._watch(schedulers)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the running mean and the count of validations."""
        state = (self.validations, float(self._sum), self._weight)
        checkpoint.setdefault("harness_reduce_lr", {})[self._state_key] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Go on with the running mean and the count of validations."""
        states = checkpoint.get("harness_reduce_lr", {})
        self.validations, self._sum, self._weight = states.get(self._state_key, (0, 0.0, 0))

    @property
    def _state_key(self) -> str:
        # Two hooks may watch one value at different intervals.
        watched = self.val_metric or self.loss
        return f"{watched}, {self.optimizer}, {self.by_epoch}, {self.interval}"

    def _first(self, runner: Runner) -> bool:
        return next(h for h in runner.hooks if isinstance(h, ParamSchedulerHook)) is self

    def _add(self, value: Tensor | float, weight: int) -> None:
        self._sum += value * weight
        self._weight += weight

    def _watch(self, schedulers: Any) -> None:
        if self._weight:
            self.looks += 1
            mean = float(self._sum) / self._weight
            self.decisions = {
                name: scheduler.watch(mean)
                for name, scheduler in _watching(schedulers)
                if self.optimizer in (None, name)
            }
        self._sum, self._weight = 0.0, 0


def _watching(schedulers: Any) -> Iterator[tuple[str, Watching]]:
    if isinstance(schedulers, list):
        schedulers = {"": schedulers}
    for name, of_optimizer in (schedulers or {}).items():
        for scheduler in of_optimizer:
            if isinstance(scheduler, Watching):
                yield name, scheduler
