"""Learning rates lowered when a watched value stops improving, or linearly in steps."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from harness.hooks.reduce_lr import Decision, ReduceLRSchedulerHook
from harness.registry import PARAM_SCHEDULERS
from harness.spec import schema


@PARAM_SCHEDULERS.register_module()
class ReduceLR(_ParamScheduler):
    """Reduce the learning rate by ``factor`` after ``patience`` looks without improvement.

    The rules of torch's ReduceLROnPlateau, driven by ReduceLRSchedulerHook, which hands over the
    value: nothing global is read, and the state is in ``state_dict``. A relative threshold is
    taken of the best value's magnitude, so that it means the same for negative values. NaN is
    counted as no improvement. ``min_lr`` never raises a rate that is below it already.

    Args:
        optimizer: an optimizer or mmengine's wrapper of one.
        mode: ``min`` if lower values are better, ``max`` if higher.
        factor: in (0, 1), new rate = old rate * factor.
        patience: looks without improvement that are borne.
        threshold: smallest change that counts as improvement.
        threshold_mode: ``rel`` (a share of the best value) or ``abs``.
        cooldown: looks after a reduction that are not counted.
        min_lr: lowest rate, or one for each parameter group.
        eps: changes of the rate below this are not made.
    """

    need_val_args = False

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor: {factor} is not in (0, 1)")
        if mode not in {"min", "max"}:
            raise ValueError(f"mode: {mode!r} is not one of min, max")
        if threshold_mode not in {"rel", "abs"}:
            raise ValueError(f"threshold_mode: {threshold_mode!r} is not one of rel, abs")
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.min_lr = float(min_lr) if isinstance(min_lr, int | float) else list(min_lr)
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        super().__init__(
            optimizer,
            param_name="lr",
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    def watch(self, value: float) -> Decision:
        """Look at the value once and reduce the rate if that is due."""
        if self.is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        bad_count = self.num_bad_epochs
        old = self.optimizer.param_groups[0]["lr"]
        if bad_count > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        return Decision(value, self.best, bad_count, old, self.optimizer.param_groups[0]["lr"])

    def is_better(self, value: float) -> bool:
        """Return whether the value improves on the best so far by more than the threshold."""
        margin = self.threshold
        if self.threshold_mode == "rel":
            margin *= abs(self.best) if math.isfinite(self.best) else 0.0
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        lowest = [self.min_lr] * len(groups) if isinstance(self.min_lr, float) else self.min_lr
        for group, min_lr in zip(groups, lowest, strict=True):
            reduced = max(group["lr"] * self.factor, min(min_lr, group["lr"]))
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced

    def _get_value(self) -> list[float]:
        # mmengine's step() asks for rates by time alone; this rule has none to add.
        return [group["lr"] for group in self.optimizer.param_groups]


@PARAM_SCHEDULERS.register_module()
class LinearLrInterval(_ParamScheduler):
    """Go linearly from one share of the initial rate to another, in steps of ``interval``.

    t iterations (or epochs) after ``begin`` the rate is initial rate x (start_factor +
    (end_factor - start_factor) x p), p = (t - t mod interval) / (end - begin); at ``end`` it is
    initial rate x end_factor, and stays. Before ``begin`` the rate is left alone. t is the
    scheduler's own count, kept in its state.

    MMagic reads the factors as rates, in all steps but the first. To keep one of its configs, set
    ``start_factor=1.0`` and divide ``end_factor`` by the optimizer's rate.

    Args:
        optimizer: an optimizer or mmengine's wrapper of one.
        start_factor: share of the initial rate at ``begin``, in (0, 1].
        end_factor: share of the initial rate at ``end``, in [0, 1].
        interval: iterations (or epochs) between changes.
        begin: first iteration (or epoch) of the decay.
        end: iteration (or epoch) from which the rate is at its end.

    Raises:
        ValueError: if a number is out of its range, or ``start_factor`` equals the initial rate,
            as in MMagic's configs.
    """

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        interval: int = 1,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor: {start_factor} is not in (0, 1]")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor: {end_factor} is not in [0, 1]")
        if interval < 1:
            raise ValueError(f"interval: {interval} is not at least 1")
        if start_factor < 1 and start_factor == optimizer.param_groups[0]["lr"]:
            raise ValueError(
                f"start_factor: {start_factor} is the rate itself, and has to be a share of it: "
                "set start_factor=1.0, and divide end_factor by the rate"
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.interval = interval
        self.total = end - begin
        super().__init__(
            optimizer,
            param_name="lr",
            begin=begin,
            end=end + 1,  # mmengine's end is the first step left out
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    def _get_value(self) -> list[float]:
        done = self.last_step
        if done < self.total:
            done -= done % self.interval
        change = (self.end_factor - self.start_factor) * done / self.total
        return [base * (self.start_factor + change) for base in self.base_values]


def rule_of(
    rule: schema.ReduceLR, optimizers: Iterable[tuple[str, Any]]
) -> tuple[ReduceLRSchedulerHook, dict[str, list[ReduceLR]]]:
    """Return what a spec's rule is made of: what watches the metric, and what acts on it.

    Args:
        rule: the rule.
        optimizers: by their names.
    """
    settings = rule.scheduler.model_dump(exclude={"type"})
    schedulers = {name: [ReduceLR(optimizer, **settings)] for name, optimizer in optimizers}
    return ReduceLRSchedulerHook(rule.val_metric, interval=rule.interval), schedulers
