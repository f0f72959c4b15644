"""A small run whose validations measure dictated values, and the rates that it used."""

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from tiny import TinyModel

from harness.engine.loops import EvaluationLoop
from harness.engine.schedulers import ReduceLR


class Scripted:
    """Measures one dictated value after another."""

    def __init__(self, values, name="fid/raw"):
        self.values, self.name = iter(values), name

    def evaluate(self, model, iteration):
        return {self.name: next(self.values), "is/raw": 1.0}


class Rates(Hook):
    """Notes the rate after each iteration and each validation."""

    priority = "VERY_LOW"

    def __init__(self):
        self.trained, self.validated = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(runner.optim_wrapper.get_lr()["lr"][0])

    def after_val_epoch(self, runner, metrics=None):
        self.validated.append(runner.optim_wrapper.get_lr()["lr"][0])


def sgd(model, lr=0.1):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=lr))


def watching(make_runner, hook, values, rule=None, more=(), every=1, iterations=None, **settings):
    """Return a runner whose validations measure ``values``, and the rates it used."""
    model, rates = settings.pop("model", TinyModel()), Rates()
    optimizer = sgd(model)
    schedulers = [ReduceLR(optimizer, **(rule or {})), *(make(optimizer) for make in more)]
    iterations = iterations or len(values) * every
    hooks = {"logger": None, "checkpoint": None, "runtime_info": None, "param_scheduler": hook}
    arguments = {
        "optim_wrapper": optimizer,
        "param_scheduler": schedulers,
        "default_hooks": hooks,
        "train_cfg": {"by_epoch": False, "max_iters": iterations, "val_interval": every},
        "val_dataloader": [],
        "val_cfg": {"type": EvaluationLoop},
        "val_evaluator": Scripted(values),
    }
    return make_runner([rates], model=model, **(arguments | settings)), rates
