"""Rules of other runs that are given a run's evaluations, and change nothing of it."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from harness.engine.schedulers import rule_of
from harness.hooks.record import told_of
from harness.spec.schema import ReduceLR


class Ghost:
    """A rule as a run of its own would have it, on optimizers that train nothing.

    Up to where it first lowers a rate, its state is that of the run.

    Args:
        rule: the rule.
        optimizers: of the run that is trained; their rates are followed.
    """

    def __init__(self, rule: ReduceLR, optimizers: OptimWrapperDict) -> None:
        self._optimizers = {name: _stand_in(wrapper) for name, wrapper in optimizers.items()}
        self._watched = rule.val_metric
        self._hook, self._schedulers = rule_of(rule, self._optimizers.items())
        self.looks: list[tuple[int, dict[str, float]]] = []
        """Iterations done, and what a run writes of a look then."""

    def follow(self, optimizers: OptimWrapperDict) -> None:
        """Take over the rates that an evaluation begins with."""
        for name, stand_in in self._optimizers.items():
            for own, group in zip(
                stand_in.param_groups, optimizers[name].param_groups, strict=True
            ):
                own["lr"] = group["lr"]

    def look(self, metrics: Mapping[str, float], iteration: int) -> bool:
        """Be given an evaluation; tell whether the run would go on at another rate."""
        before, looks = self._rates(), self._hook.looks
        self._hook.measured(self._watched, metrics, self._schedulers)
        if self._hook.looks > looks:
            self.looks.append((iteration, told_of(self._hook)))
        return self._rates() != before

    def state(self, runner: Runner) -> dict[str, Any]:
        """Return what ``restore`` goes on from: plain values that stay as they are."""
        hook: dict[str, Any] = {}
        self._hook.before_save_checkpoint(runner, hook)
        lists = self._schedulers.values()
        schedulers = [scheduler.state_dict() for of_one in lists for scheduler in of_one]
        return {"hook": hook, "schedulers": schedulers, "looks": [*self.looks]}

    def restore(self, runner: Runner, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self._hook.after_load_checkpoint(runner, state["hook"])
        schedulers = [one for of_one in self._schedulers.values() for one in of_one]
        for scheduler, kept in zip(schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        self.looks = [*state["looks"]]

    def _rates(self) -> list[float]:
        optimizers = self._optimizers.values()
        return [group["lr"] for one in optimizers for group in one.param_groups]


def _stand_in(wrapper: Any) -> torch.optim.Optimizer:
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr": g["lr"], "initial_lr": g["initial_lr"]}
        for g in wrapper.param_groups
    ]
    return torch.optim.SGD(groups)
