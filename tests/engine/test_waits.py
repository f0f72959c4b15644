"""An iteration that logs nothing waits for the device nowhere: no tensor becomes a number."""

from collections import Counter
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from torch.utils._python_dispatch import TorchDispatchMode

from harness.bench.steps import on_noise, step
from harness.records.types import Outcome, Status
from harness.spec.load import load

_WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero"}
_NARROW = ("model.base_channels=32", "model.max_channels=8", "train.batch_size=4")
_THIN = ("model.base_channels=4", "model.min_feat_channels=4")
_STEPS = 17
"""Past both of StyleGAN2's lazy terms; fewer than RecordHook looks after."""


class Waits(TorchDispatchMode):
    """Counts what a GPU would be waited for."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in _WAITS:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


class Reads(Hook):
    """As mmengine's RuntimeInfoHook does: a number of every loss."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        outputs["loss_d"].item()


@pytest.fixture
def runner_of(tmp_path):
    def make(name, scale, overrides, log_every_kimg=1000):
        logs = f"train.log_every_kimg={log_every_kimg}"
        path = Path(f"experiments/{name}-ema.yaml")
        spec = load(path, overrides=(*overrides, "hooks=[]", logs))
        return on_noise(tmp_path / tmp_path.name, "cpu", spec, scale)

    return make


@pytest.mark.parametrize(
    ("name", "scale", "overrides"),
    [
        ("pggan", 8, _NARROW),
        ("stylegan1", 8, _NARROW),
        ("stylegan2", 8, _NARROW),
        ("singan", 39, _THIN),
    ],
)
def test_nothing_is_waited_for_between_logs(name, scale, overrides, runner_of):
    runner = runner_of(name, scale, overrides)
    with Waits() as waits:
        for _ in range(3 if name == "singan" else _STEPS):
            step(runner)
    assert waits.found == {}


def test_what_is_logged_is_waited_for(runner_of):
    runner = runner_of("pggan", 8, _NARROW, log_every_kimg=0.004)
    with Waits() as waits:
        step(runner)
    runner.keeper.folder.end(Outcome(Status.FINISHED, "", 1, 1.0))  # closes its rows
    assert waits.found["_local_scalar_dense"] > 0


def test_a_hook_that_reads_a_loss_is_seen(runner_of):
    runner = runner_of("pggan", 8, _NARROW)
    runner.register_hook(Reads())
    with Waits() as waits:
        for _ in range(3):
            step(runner)
    assert waits.found == {"_local_scalar_dense": 3}
