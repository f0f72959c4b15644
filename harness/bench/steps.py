"""Real runners, one step at a time."""

from pathlib import Path

import torch
from mmengine.runner import Runner

from harness.engine.build import prepared, runner_of
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.spec.load import load

_SPEC = Path("experiments/pggan-ema.yaml")
_AT_FINAL_SCALE = (
    "seeds=[0]",
    "hooks=[]",
    "model.nkimgs_per_scale={4: 0.064, 8: 160}",
    "model.transition_kimgs=0.064",
)


def at_work(path: Path, device: str, *overrides: str) -> Runner:
    """Return a runner of the quick tier's spec, two steps away from its final scale.

    Args:
        path: a folder to be made, for its records.
        overrides: of the spec, such as ``observers.ema={}``.
    """
    run = expand("bench", "quick", load(_SPEC, overrides=(*_AT_FINAL_SCALE, *overrides))).runs[0]
    path.mkdir()
    folder = RunFolder(path)
    folder.begin(run.settings, {})
    real, evaluator = prepared(run.spec, run.seed, torch.device(device), path / "cache")
    runner = runner_of(run, real, evaluator, folder, torch.device(device))
    runner.call_hook("before_run")
    runner.call_hook("before_train")
    return runner


def step(runner: Runner) -> None:
    """Train one iteration, hooks and all."""
    loop = runner.train_loop
    loop.run_iter(next(loop.dataloader_iterator))
