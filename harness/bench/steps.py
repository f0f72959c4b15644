"""Real runners, one step at a time."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import Runner

from harness.data import Pixels
from harness.data.prepare import Prepared
from harness.engine.build import prepared, runner_of
from harness.engine.keeping import Keeper
from harness.engine.loops import ArmEvaluator
from harness.engine.runner import QuietRunner
from harness.gans.base import GAN
from harness.hooks import PGGANFetchDataHook
from harness.interrupts import Interrupts
from harness.plan.expand import Run, expand
from harness.plan.keeping import Keeping
from harness.records.store import RunFolder
from harness.spec.load import load
from harness.spec.schema import SinGAN, Spec

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
    real, evaluator = prepared(run.spec, run.seed, torch.device(device), path / "cache")
    return _begun(run, real, evaluator, RunFolder(path), torch.device(device))


class _Unmeasured:
    """Stands for an evaluator where nothing is evaluated."""

    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Measure nothing."""
        return {}


def on_noise(path: Path, device: str, spec: Spec, scale: int, images: int = 512) -> QuietRunner:
    """Return a runner of a spec on random images, keeper and all, one step into a scale.

    Each scale before has one step too; nothing is left to fade in.

    Args:
        path: a folder to be made, for its records.
        scale: in px, of the spec's growth.
        images: of the set, but for SinGAN's one.
    """
    run = expand("bench", "quick", spec).runs[0]
    real = Prepared("noise", "", (), dict(_noise(spec, images)))
    folder = RunFolder(path)
    path.mkdir()
    runner = _begun(run, real, _Unmeasured(), folder, torch.device(device))
    runner.keeper = Keeper(folder, run.settings, Keeping(), Interrupts(), lambda: None)
    fetch = next(hook for hook in runner.hooks if isinstance(hook, PGGANFetchDataHook))
    growth, model = spec.growth, runner.model
    for at, begin in zip(growth.scales, accumulate((0, *growth.images)), strict=False):
        model.images_shown = begin + (growth.transition_images if begin else 0)
        runner.train_loop.dataloader.batch_sampler.shown = model.images_shown
        fetch.before_train(runner)
        step(runner)
        if at == scale:
            break
    return runner


def step(runner: Runner) -> None:
    """Train one iteration, hooks and all."""
    runner.train_loop.train_batch()


def _begun(
    run: Run,
    real: Prepared,
    evaluator: ArmEvaluator,
    folder: RunFolder,
    device: torch.device,
) -> QuietRunner:
    folder.begin(run.settings, {})
    runner = runner_of(run, real, evaluator, folder, device)
    runner.call_hook("before_run")
    runner.call_hook("before_train")
    runner.model.train()
    return runner


def _noise(spec: Spec, count: int) -> Iterator[tuple[int, Pixels]]:
    sizes = {side: (side, side) for side in spec.growth.scales}
    if isinstance(spec.model, SinGAN):
        count, sizes = 1, dict(zip(spec.growth.scales, spec.pyramid.sizes, strict=True))
    draw = np.random.default_rng(0)
    for side, size in sizes.items():
        yield side, draw.integers(0, 256, (count, 3, *size), dtype=np.uint8)
