"""Timing what a run is made of, on its own networks, data, averages and extractor.

The run's objects are those of training. Each stage of growth is trained for a while, and arms are
measured at it; where a stage begins, the images shown jump to it.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from harness.ema.posthoc import rebuild
from harness.ema.snapshots import Profile, find
from harness.engine.arms import Evaluator
from harness.engine.build import prepared, runner_of
from harness.engine.cut_short import Counter
from harness.engine.film import Filmed
from harness.engine.keeping import Keeper
from harness.engine.together import Together, seconds
from harness.gans.base import GAN
from harness.hooks import PGGANFetchDataHook, VisualizationHook
from harness.interrupts import Interrupts
from harness.plan.budget import LEAST_BLOCKS, MOST_IMAGES, blocks, next_step_sec, shares
from harness.plan.expand import Run
from harness.plan.keeping import Keeping
from harness.plan.schedule import Phase, phases
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

_WARM_STEPS = 2
_FEW = 3
"""Times that what is done seldom is timed."""
_MOST_PASSES = 12
_NEVER_SEC = 1e9


class _Unmeasured:
    """Stands for what measures a model, where only pictures of it are kept."""

    def __init__(self, evaluator: Evaluator) -> None:
        settings = evaluator.settings
        names = [settings.quantity(metric) for metric in settings.metrics]
        self._values = {f"{name}/{arm}": 0.0 for name in names for arm in evaluator.arms}

    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return the same of every model."""
        return self._values


class Subject:
    """A run whose parts are timed.

    Args:
        run: with the hooks of its spec.
        path: a folder for its records.
        device: where it computes.
        cache_dir: holds prepared images and reference statistics.
        together: the processes that do the same at the same time.
    """

    def __init__(
        self, run: Run, path: Path, device: torch.device, cache_dir: Path, together: Together
    ) -> None:
        self.spec = run.spec
        self.folder = RunFolder(path)
        self.folder.begin(run.settings, {})
        keeping = Keeping(_NEVER_SEC, 1)
        keeper = Keeper(self.folder, run.settings, keeping, Interrupts(), lambda: None)
        real, self.evaluator = prepared(self.spec, run.seed, device, cache_dir)
        unmeasured = _Unmeasured(self.evaluator)
        self.filmed = Filmed(unmeasured, self.evaluator, real, path, self.spec.total_images)
        self.runner = runner_of(run, real, self.filmed, self.folder, device)
        self.keeper = self.runner.keeper = keeper
        self.together = together
        self.runner.call_hook("before_run")
        self.runner.call_hook("before_train")
        self.runner.model.train()

    @property
    def model(self) -> GAN:
        """What is trained."""
        model: GAN = self.runner.model
        return model

    def steps(self, phase: Phase, sec: float) -> dict[str, Any]:
        """Return seconds of a phase's steps: a mean a block of them, of ``sec`` seconds or so."""
        self._go_to(phase.begin)
        for _ in range(_WARM_STEPS):
            warm = seconds(partial(self._step, phase))
        block = blocks(self.spec, self.together.largest(warm), sec)
        batch = phase.images // phase.iterations
        enough_times = -(-MOST_IMAGES // (block.steps * batch))

        def enough(times: list[float]) -> bool:
            return len(times) >= LEAST_BLOCKS and (sum(times) >= sec or len(times) >= enough_times)

        def one() -> None:
            for _ in range(block.steps):
                self._step(phase)

        times = [sec / block.steps for sec in self.together.repeat(one, enough)]
        told = {"scale": phase.scale, "fading": phase.fading}
        return {**told, "sec": times, "whole": block.whole}

    def passes(self, phase: Phase, sec: float) -> dict[str, Any]:
        """Return seconds of measuring an arm at a phase's scale, of each arm in turn."""
        self._go_to(phase.begin + phase.images - phase.images // phase.iterations)
        networks = self.model.networks()
        arms = [networks[name] for name in self.evaluator.arms.values()]
        counter = Counter(self.evaluator, 2 * sec)

        def one() -> None:
            arm = arms[len(counter.shares) % len(arms)]
            with counter.counting():
                self.evaluator.measure(self.model, arm, self.runner.iter)

        with self.evaluator.latents_kept():
            times = self.together.repeat(
                one, lambda times: sum(times) >= sec or len(times) >= _MOST_PASSES
            )
        whole = all(share == 1 for share in counter.shares)
        drawn = [sec / share for sec, share in zip(times, counter.shares, strict=True)]
        return {"scale": phase.scale, "sec": drawn, "whole": whole}

    def pictures(self, ended: bool) -> dict[str, list[float]]:
        """Return seconds of a frame, of neighbours where training has come to its end, of grids."""
        frames = self._few(self._frame)
        hooks = [hook for hook in self.runner.hooks if isinstance(hook, VisualizationHook)]
        grids = [t for hook in hooks for t in self._few(partial(hook.vis_sample, self.runner, 0))]
        neighbours = []
        if ended:
            self.model.images_shown = self.spec.total_images
            both = self._few(self._frame)
            neighbours = [max(0.0, sec - min(frames)) for sec in both]
        return {"frame_sec": frames, "drawing_sec": grids, "neighbours_sec": neighbours}

    def keeping(self) -> dict[str, list[float]]:
        """Return seconds of a checkpoint, and of rebuilding an average from one snapshot."""
        saved = self._few(lambda: self.keeper.save(self.runner))
        files = find(self.folder.path / "posthoc")
        posthoc = self.spec.observers.posthoc
        if posthoc is None or not files:
            return {"checkpoint_sec": saved, "rebuild_sec": []}
        network = self.model.generator
        averaged = {name for name, p in network.named_parameters() if p.requires_grad}
        wanted = Profile(posthoc.rebuild[0], max(profile.images for profile in files))
        rebuilt = self._few(lambda: rebuild(files, wanted, averaged))
        return {"checkpoint_sec": saved, "rebuild_sec": [sec / len(files) for sec in rebuilt]}

    def _few(self, action: Callable[[], object]) -> list[float]:
        return self.together.repeat(action, lambda times: len(times) >= _FEW)

    def _frame(self) -> None:
        self.filmed.evaluate(self.model, self.runner.iter)

    def _step(self, phase: Phase) -> None:
        batch = phase.images // phase.iterations
        if self.model.images_shown + batch > phase.begin + phase.images:
            self._go_to(phase.begin)
        self.runner.train_loop.train_batch()

    def _go_to(self, images_shown: int) -> None:
        """Have the next batch be of the stage that begins after so many images."""
        self.model.images_shown = images_shown
        for hook in self.runner.hooks:
            if isinstance(hook, PGGANFetchDataHook):
                hook.before_train(self.runner)


def measure(
    run: Run, path: Path, device: torch.device, cache_dir: Path, sec: float, together: Together
) -> dict[str, Any]:
    """Return seconds and peak memory of a run's parts, a list of each, as calibrations keep them.

    Args:
        run: what is timed.
        path: a folder for its records.
        device: where it computes.
        cache_dir: holds prepared images and reference statistics.
        sec: about how long steps and passes are timed; a stage is left out whose fewest steps
            would take longer.
        together: the processes that do the same at the same time.

    Raises:
        HarnessError: if data, weights or the folder are not as they have to be, or it diverges.
    """
    begin = time.perf_counter()
    subject = Subject(run, path, device, cache_dir, together)
    start = time.perf_counter() - begin
    wanted = phases(run.spec)
    steps: list[dict[str, Any]] = []
    passes: list[dict[str, Any]] = []
    share = shares(run.spec)
    for phase, after in zip(wanted, [*wanted[1:], None], strict=True):
        if steps and together.largest(_least_sec(run, steps[-1], phase)) > sec:
            break
        steps.append(subject.steps(phase, sec * share["step", phase.scale, phase.fading]))
        if after is None or after.scale != phase.scale:
            passes.append(subject.passes(phase, sec * share.get(("pass", phase.scale, False), 0.0)))
    ended = len(steps) == len(wanted)
    seldom = {**subject.pictures(ended), **subject.keeping()}
    subject.folder.end(Outcome(Status.FINISHED))
    return {"steps": steps, "passes": passes, **seldom, "start_sec": [start], **_memory(device)}


def _least_sec(run: Run, last: Mapping[str, Any], phase: Phase) -> float:
    """Return what the fewest steps of a phase will take, judged by the last ones timed."""
    step = next_step_sec(run.spec, fmean(last["sec"]), last["scale"], phase.scale)
    return (_WARM_STEPS + LEAST_BLOCKS) * step


def _memory(device: torch.device) -> dict[str, list[float]]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    on_gpu = [torch.cuda.max_memory_allocated() / 2**30] if device.type == "cuda" else []
    return {"rss_gib": [peak / (2**30 if sys.platform == "darwin" else 2**20)], "gpu_gib": on_gpu}
